{# From the lines of accepted files to typed rows, each either good or with the reason why not. #}

{% macro landed_value(column) -%}
    {#- SQL for a value in its declared type, null if it is none. A moment with an offset is brought to UTC: a plain cast drops the offset. -#}
    {%- set raw = 'raw.' ~ column.name -%}
    {%- if column.data_type == 'varchar' -%}
        {{ raw }}
    {%- elif column.data_type == 'timestamp' -%}
        timezone('UTC', try_cast({{ raw }} as timestamptz))
    {%- else -%}
        try_cast({{ raw }} as {{ column.data_type }})
    {%- endif -%}
{%- endmacro %}


{% macro landed_column_problem(column) -%}
    {#- SQL for the first thing wrong with one value, or null. `column` is the source's declaration. -#}
    {%- set meta = column.config.meta if column.config and column.config.meta else column.meta -%}
    {%- set raw = 'raw.' ~ column.name -%}
    {%- set value = landed_value(column) -%}
    case
        {%- if meta.get('required') %}
        when {{ raw }} is null then '{{ column.name }} is missing'
        {%- endif %}
        {%- if column.data_type != 'varchar' %}
        when {{ raw }} is not null and {{ value }} is null
            {%- if column.data_type in ('integer', 'bigint', 'smallint') %}
            or contains({{ raw }}, '.') and try_cast({{ raw }} as double) != {{ value }}
            {%- endif %}
            then '{{ column.name }} ' || left({{ raw }}, 40) || ' is not {{ column.data_type }}'
        {%- endif %}
        {%- if meta.get('minimum') is not none and 'minimum' in meta %}
        when {{ value }} < {{ meta.minimum }} then '{{ column.name }} ' || left({{ raw }}, 40) || ' is below {{ meta.minimum }}'
        {%- endif %}
        {%- if 'maximum' in meta %}
        when {{ value }} > {{ meta.maximum }} then '{{ column.name }} ' || left({{ raw }}, 40) || ' is above {{ meta.maximum }}'
        {%- endif %}
        {%- if 'accepted' in meta %}
        when {{ raw }} not in ({% for item in meta.accepted %}'{{ item }}'{{ ', ' if not loop.last }}{% endfor %})
            then '{{ column.name }} ' || left({{ raw }}, 40) || ' is not one of {{ meta.accepted | join(", ") }}'
        {%- endif %}
        when false then ''
    end
{%- endmacro %}


{% macro landed_key(declared) -%}
    {#- The columns that make a row of a landing table unique: `config.meta.key` of its source; within a file, where rows carry no time. -#}
    {%- if not declared -%}{{ return(['file_id']) }}{%- endif -%}
    {%- set meta = declared.config.meta or declared.meta -%}
    {%- set names = declared.columns.values() | map(attribute='name') | list -%}
    {%- if not meta.get('key') or meta.key | reject('in', names) | list -%}
        {{ exceptions.raise_compiler_error(
            declared.original_file_path ~ ': ' ~ declared.source_name ~ '.' ~ declared.name ~ ': config.meta.key: found ' ~ meta.get('key')
            ~ '; name the columns that make a row unique, a list of some of ' ~ names | join(', ')
        ) }}
    {%- endif -%}
    {{ return((['file_id'] if not meta.get('known_at') else []) + meta.key) }}
{%- endmacro %}


{% macro landed_rows(feed, table) -%}
{#- Rows of the files of one landing table that this model has not read yet. -#}
{%- set files = ref('stg_landing__files') -%}
{%- do source(feed, table) -%}
{%- set declared = landing_sources().get(feed ~ '/' ~ table) -%}
{%- set columns = declared.columns.values() | list if declared else [] -%}
{%- set key = landed_key(declared) -%}
{%- set known_at = (declared.config.meta if declared and declared.config.meta else (declared.meta if declared else {})).get('known_at') -%}
{%- set paths = [] -%}
{%- if execute -%}
    {%- set after = 'select coalesce(max(file_id), 0) from ' ~ this if is_incremental() else 'select 0' -%}
    {%- set unread = run_query(
        "select path from " ~ files ~ " where status = 'accepted' and feed = '" ~ feed ~ "' and table_name = '" ~ table ~ "'"
        ~ " and data_lines > 0 and file_id > (" ~ after ~ ") order by file_id"
    ).rows -%}
    {%- for row in unread -%}{%- do paths.append(home() ~ '/landing/' ~ row[0]) -%}{%- endfor -%}
{%- endif -%}
with

files as (

    select
        file_id,
        path,
        sha256
    from {{ files }}
    where status = 'accepted' and feed = '{{ feed }}' and table_name = '{{ table }}'

),

{% if paths -%}
contents as (

    -- The bytes are the ones that the door accepted, or they are not read.
    select
        files.file_id,
        string_split(replace(decode(blob.content), chr(13), ''), chr(10)) as lines
    from read_blob({{ sql_list(paths) }}) as blob
    inner join files
        on
            replace(blob.filename, '{{ home() }}/landing/', '') = files.path
            and sha256(blob.content) = files.sha256

),

numbered as (

    select
        file_id,
        unnest(lines) as line,
        unnest(range(1, len(lines) + 1)) as line_number,
        len(lines) as line_count
    from contents

),

{% else -%}
numbered as (

    select
        null::bigint as file_id,
        null::varchar as line,
        null::bigint as line_number,
        null::bigint as line_count
    where false

),

{% endif -%}
split as (

    select
        file_id,
        line_number,
        line,
        case
            when contains(line, '"')
                then list_transform(
                    regexp_extract_all(',' || line, ',("(?:[^"]|"")*"|[^,]*)', 1),
                    lambda field: case
                        when starts_with(field, '"') then replace(field[2:-2], '""', '"')
                        else field
                    end
                )
            else string_split(line, ',')
        end as fields
    from numbered
    -- Behind the last line end there is no line; an empty line before it is one, and wrong.
    where line_number > 1 and not (line = '' and line_number = line_count)

),

raw as (

    select
        file_id,
        line_number,
        line,
        len(fields) as field_count,
        {%- for column in columns %}
        case when trim(fields[{{ loop.index }}]) not in ('', 'NA') then trim(fields[{{ loop.index }}]) end as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from split

),

judged as (

    select
        raw.file_id,
        raw.line_number,
        raw.line,
        {%- for column in columns %}
        {{ landed_value(column) }} as {{ column.name }},
        {%- endfor %}
        case
            when contains(raw.line, '"') and (length(raw.line) - length(replace(raw.line, '"', ''))) % 2 = 1
                then 'a quote is not closed'
            when raw.field_count != {{ columns | length }}
                then 'expected {{ columns | length }} fields, found ' || raw.field_count
            else nullif(
                concat_ws(
                    '; ',
                    {%- for column in columns %}
                    {{ landed_column_problem(column) }}{{ ',' if not loop.last }}
                    {%- endfor %}
                ),
                ''
            )
        end as problem
    from raw

),

ranked as (

    select
        *,
        row_number() over (
            partition by {{ key | join(', ') }}, problem is null
            order by file_id, line_number
        ) as key_rank
    from judged

)

select
    ranked.file_id,
    ranked.line_number,
    {%- for column in columns %}
    ranked.{{ column.name }},
    {%- endfor %}
    {{ ('ranked.' ~ known_at) if known_at else 'null::timestamp' }} as known_at,
    case
        when ranked.problem is not null then ranked.problem
        when ranked.key_rank > 1 {{ 'or earlier.file_id is not null' if is_incremental() }}
            then 'repeats the key ({{ key | join(", ") }}) of an earlier row'
    end as quarantine_reason,
    case
        when ranked.problem is not null or ranked.key_rank > 1 {{ 'or earlier.file_id is not null' if is_incremental() }}
            then ranked.line
    end as quarantined_line
from ranked
{% if is_incremental() -%}
left join {{ this }} as earlier
    on
        {%- for column in key %}
        ranked.{{ column }} = earlier.{{ column }} and
        {%- endfor %}
        earlier.quarantine_reason is null
{%- endif %}
{%- endmacro %}
