{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set unseen = unseen_landing_files() -%}
{%- set declared = landing_sources() -%}

with

declared as (

    -- What each landing table's header must say, from the sources' YAML.
    {% for name, source in declared.items() -%}
    select
        '{{ name }}' as name,
        '{{ source.columns.values() | map(attribute="name") | join(",") }}' as header
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        null::varchar as name,
        null::varchar as header
    where false
    {% endfor %}

),

{% if is_incremental() -%}
seen as (

    select * from {{ this }}

),

{% endif -%}
arrived as (

    {% if unseen.all -%}
    select
        replace(found.filename, '{{ home() }}/landing/', '') as path,
        found.size as bytes,
        found.last_modified as modified_at,
        {{ 'opened.content' if unseen.readable else 'null::blob' }} as content
    from read_blob({{ sql_list(unseen.all) }}) as found
    {% if unseen.readable -%}
    left join read_blob({{ sql_list(unseen.readable) }}) as opened on found.filename = opened.filename
    {%- endif %}
    {%- else -%}
    select
        null::varchar as path,
        null::bigint as bytes,
        null::timestamptz as modified_at,
        null::blob as content
    where false
    {%- endif %}

),

opened as (

    select
        path,
        split_part(path, '/', 1) as feed,
        split_part(path, '/', 2) as table_name,
        bytes,
        modified_at,
        sha256(content) as sha256,
        replace(ltrim(try(decode(content)), chr(65279)), chr(13), '') as text
    from arrived

),

read as (

    select
        * exclude (text),
        split_part(text, chr(10), 1) as header,
        text is not null as is_text,
        greatest(0, length(text) - length(replace(text, chr(10), '')) + (right(text, 1) != chr(10))::int - 1) as data_lines
    from opened

),

compared as (

    select
        read.*,
        declared.header as expected_header,
        declared.name is not null as is_declared,
        first_value(read.path) over (partition by read.sha256 order by read.path) as first_path,
        {% if is_incremental() -%}
        (select min(seen.path) from seen where seen.sha256 = read.sha256 and seen.status = 'accepted') as earlier_path,
        (select count(*) from seen where seen.path = read.path and seen.status = 'accepted') > 0 as is_changed
        {%- else -%}
        null::varchar as earlier_path,
        false as is_changed
        {%- endif %}
    from read
    left join declared on read.feed || '/' || read.table_name = declared.name

),

judged as (

    select
        *,
        case
            when not is_declared then 'no source declares the landing table ' || feed || '/' || table_name
            when bytes > {{ var('landing_max_file_bytes') }}
                then 'has ' || bytes || ' bytes, more than landing_max_file_bytes ({{ var('landing_max_file_bytes') }})'
            when bytes = 0 then 'is empty: not even a header'
            when not is_text then 'is not UTF-8 text'
            when header != expected_header
                then 'header is ' || left(header, 200) || ' but should be ' || expected_header
            when earlier_path is not null then 'has the same bytes as ' || earlier_path
            when is_changed
                then 'was changed after it had been read; landing is append-only: put corrections into a new file'
            when first_path != path then 'has the same bytes as ' || first_path
        end as reason
    from compared

)

select
    row_number() over (order by path)
    {%- if is_incremental() %} + (select coalesce(max(file_id), 0) from seen){% endif %} as file_id,
    feed,
    table_name,
    path,
    bytes,
    modified_at,
    sha256,
    data_lines,
    case
        when reason is null then 'accepted'
        when reason like 'has the same bytes%' then 'duplicate'
        else 'rejected'
    end as status,
    reason
from judged
