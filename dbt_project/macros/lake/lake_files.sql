{# Files that Python wrote to the lake, read as a source. A typed empty table stands in while there are none. #}

{% macro lake_files(pattern, reader, columns, unseen_only=false, models=none) -%}
{#- `columns`: name -> SQL type. `unseen_only`: only files that this incremental model has not read with this time and size. `models`: only files in folders of these names. -#}
{%- set paths = [] -%}
{%- if execute -%}
    {%- set found = "select filename from read_blob('" ~ home() ~ "/lake/" ~ pattern ~ "') as found where not starts_with(parse_filename(filename), '.')" -%}
    {%- if models is not none -%}
        {%- set found = found ~ " and parse_path(found.filename)[-2] in (select unnest(" ~ sql_list(models) ~ "::varchar[]))" -%}
    {%- endif -%}
    {%- if unseen_only and is_incremental() -%}
        {%- set found = found ~ " and not exists (select 1 from " ~ this ~ " as seen where seen.source_file = parse_path(found.filename)[-2] || '/' || parse_filename(found.filename)"
            ~ " and seen.source_modified_at = found.last_modified)" -%}
    {%- endif -%}
    {%- for row in run_query(found ~ ' order by 1').rows -%}{%- do paths.append(row[0]) -%}{%- endfor -%}
{%- endif -%}
    select
        {%- for name, type in columns.items() %}
        {{ ('cast(' ~ name ~ ' as ' ~ type ~ ')') if paths else ('cast(null as ' ~ type ~ ')') }} as {{ name }},
        {%- endfor %}
        {{ "parse_path(filename)[-2] || '/' || parse_filename(filename)" if paths else 'cast(null as varchar)' }} as source_file
    {% if paths -%}
    from {{ reader }}({{ sql_list(paths) }}, filename = true{{ ", format = 'newline_delimited'" if reader == 'read_json' }})
    {%- else -%}
    where false
    {%- endif %}
{%- endmacro %}
