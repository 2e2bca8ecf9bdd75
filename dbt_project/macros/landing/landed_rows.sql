{# From the lines of accepted files to typed rows, each either good or with the reason why not. #}

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


{% macro unread_landing_files(files, feed, table) -%}
    {#- Ids and paths of the accepted files whose rows this model has not read, in their order; up to the first that is no longer there. -#}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set after = 'select coalesce(max(file_id), 0) from ' ~ this if is_incremental() else 'select 0' -%}
        {%- set landing = home() ~ '/landing/' -%}
        {%- set rows = run_query(
            "select path, is_there('" ~ landing | replace("'", "''") ~ "' || path) from " ~ files ~ " where status = 'accepted' and feed = '" ~ feed
            ~ "' and table_name = '" ~ table ~ "' and data_lines > 0 and file_id > (" ~ after ~ ") order by file_id"
        ).rows -%}
        {%- set is_whole = namespace(value=true) -%}
        {%- for row in rows if is_whole.value -%}
            {%- if row[1] -%}
                {%- do found.append(row[0]) -%}
            {%- elif is_incremental() -%}
                {%- set is_whole.value = false -%}
                {%- do log('  ' ~ row[0] ~ ' was taken away before it was read: it and what follows wait for the next build', info=true) -%}
            {%- else -%}
                {{ exceptions.raise_compiler_error(lost_file_message(row[0], 'is no longer in landing')) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}


{% macro lost_file_message(path, what) -%}
    {{ return(
        path ~ ' was accepted, and ' ~ what ~ ': what was read from it cannot be read again. Put it back as it was, or give its rows up with'
        ~ " dbt build --full-refresh --vars '{withdraw_lost_files: true}'"
    ) }}
{%- endmacro %}


{% macro landed_rows(feed, table) -%}
{#- Rows of the files of one landing table that this model has not read yet. -#}
{%- set files = ref('stg_landing__files') -%}
{%- do source(feed, table) -%}
{%- set declared = landing_sources().get(feed ~ '/' ~ table) -%}
{%- set columns = declared.columns.values() | list if declared else [] -%}
{%- set meta = landed_meta(declared) if declared else {} -%}
{%- set key = landed_key(declared) -%}
{%- set known_at = meta.get('known_at') -%}
{%- set facts = [] -%}
{%- for column in columns if column.name not in key and column.name != known_at -%}{%- do facts.append(column.name) -%}{%- endfor -%}
{%- set paths = unread_landing_files(files, feed, table) -%}
{%- set landing = home() ~ '/landing/' -%}
with

files as (

    select
        file_id,
        batch_id,
        path,
        arrived_at,
        sha256
    from {{ files }}
    where status = 'accepted' and feed = '{{ feed }}' and table_name = '{{ table }}'

),

{% if paths -%}
contents as (

    select
        files.file_id,
        files.batch_id,
        files.arrived_at,
        files.path,
        sha256(blob.content) = files.sha256 as is_same,
        blob.content
    from read_blob([
        {%- for path in paths %}'{{ literal_path(landing ~ path) | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
    ]) as blob
    inner join files on blob.filename = '{{ landing | replace("'", "''") }}' || files.path

),

numbered as (

    -- The bytes are the ones that the door accepted, or they are not read, nor what follows; the next build looks at them again.
    select
        file_id,
        batch_id,
        arrived_at,
        unnest(lines) as line,
        unnest(range(1, len(lines) + 1)) as line_number,
        len(lines) as line_count
    from (
        select
            file_id,
            batch_id,
            arrived_at,
            string_split(decode(content), chr(10)) as lines
        from contents
        where
            {% if is_incremental() -%}
            file_id < (select coalesce(min(file_id), 9223372036854775807) from contents where not is_same)
            {%- else -%}
            case
                when is_same then true
                when batch_id = (select max(batch_id) from {{ files }}) then false
                else error('{{ lost_file_message("@", "landing now holds other bytes under its name") | replace("'", "''") | replace("@", "' || path || '") }}')
            end
            and file_id < (select coalesce(min(file_id), 9223372036854775807) from contents where not is_same)
            {%- endif %}
    )

),

{% else -%}
numbered as (

    select
        null::bigint as file_id,
        null::bigint as batch_id,
        null::timestamp as arrived_at,
        null::varchar as line,
        null::bigint as line_number,
        null::bigint as line_count
    where false

),

{% endif -%}
split as (

    select
        file_id,
        batch_id,
        arrived_at,
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
    from (select * replace (rtrim(line, chr(13)) as line) from numbered)
    -- Behind the last line end there is no line; an empty line before it is one, and wrong.
    where line_number > 1 and not (line = '' and line_number = line_count)

),

raw as (

    select
        file_id,
        batch_id,
        arrived_at,
        line_number,
        line,
        len(fields) as field_count,
        {%- for column in columns %}
        case when trim(fields[{{ loop.index }}]) not in ('', 'NA') then trim(fields[{{ loop.index }}]) end as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from split

),

typed as (

    select
        raw.file_id,
        raw.batch_id,
        raw.arrived_at,
        raw.line_number,
        raw.line,
        raw.field_count{{ ',' if columns }}
        {%- for column in columns %}
        raw.{{ column.name }} as raw_{{ column.name }},
        {{ landed_value(column) }} as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from raw

),

judged as (

    select
        typed.*,
        case
            when contains(typed.line, '"') and (length(typed.line) - length(replace(typed.line, '"', ''))) % 2 = 1
                then 'a quote is not closed'
            when contains(typed.line, '"') and not regexp_full_match(typed.line, '{{ '("([^"]|"")*"|[^",][^,]*|)(,("([^"]|"")*"|[^",][^,]*|))*' }}')
                then 'something stands behind a closing quote'
            when regexp_matches(typed.line, '[\x00-\x08\x0a-\x1f\x7f]') then 'holds a control character'
            when typed.field_count != {{ columns | length }}
                then 'expected {{ columns | length }} fields, found ' || typed.field_count
            else nullif(
                concat_ws(
                    '; ',
                    {%- for column in columns %}
                    {{ landed_column_problem(column, key, known_at) }}{{ ',' if not loop.last }}
                    {%- endfor %}
                ),
                ''
            )
        end as problem
    from typed

),

{{ far_off_times(known_at, meta.get('furthest', '400 days')) }}

{{ row_versions(key, facts) }}

select
    versioned.file_id,
    versioned.line_number,
    {%- for column in columns %}
    versioned.{{ column.name }},
    {%- endfor %}
    {{ ('versioned.' ~ known_at ~ '::timestamp') if known_at else 'null::timestamp' }} as known_at,
    case when versioned.problem is null then versioned.row_version end as row_version,
    case
        when versioned.problem is not null then versioned.problem
        when versioned.is_repeat then 'repeats the key ({{ key | join(", ") }}) of an earlier row'
        {%- if meta.get('corrections') == 'refused' %}
        when versioned.row_version > 1
            then 'says something else of a key ({{ key | join(", ") }}) that an earlier row had; the source accepts no corrections'
        {%- endif %}
    end as quarantine_reason,
    case
        when versioned.problem is not null or versioned.is_repeat {{ 'or versioned.row_version > 1' if meta.get('corrections') == 'refused' }}
            then versioned.line
    end as quarantined_line
from versioned
{%- endmacro %}
