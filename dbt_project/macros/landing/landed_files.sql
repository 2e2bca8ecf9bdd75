{# The door: every file is looked at once, as bytes, before a value in it is believed. #}

{% macro landing_sources() -%}
    {#- Declared landing tables by 'feed/table', from the sources' own YAML. -#}
    {% set found = {} %}
    {% if execute %}
        {% for source in graph.sources.values() if source.config.meta.get('landing') or source.meta.get('landing') %}
            {% do found.update({source.source_name ~ '/' ~ source.name: source}) %}
        {% endfor %}
    {% endif %}
    {{ return(found) }}
{%- endmacro %}


{% macro sql_list(values) -%}
    [{%- for value in values %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}]
{%- endmacro %}


{% macro unseen_landing_files() -%}
    {#- Paths that no earlier run has seen with this size and time, all of them and those small enough to be read; only the file system's own facts are asked. -#}
    {% set unseen = {'all': [], 'readable': []} %}
    {% if execute %}
        {% set landing = home() ~ '/landing/' %}
        {% set known = 'select path, bytes, modified_at from ' ~ this %}
        {% if not is_incremental() %}
            {% set known = 'select null::varchar as path, null::bigint as bytes, null::timestamptz as modified_at where false' %}
        {% endif %}
        {% set rows = run_query(
            "select found.filename, found.size from read_blob('" ~ landing ~ "*/*/*') as found "
            ~ "where not starts_with(parse_filename(found.filename), '.') and not exists (select 1 from (" ~ known ~ ") as known "
            ~ "where known.path = replace(found.filename, '" ~ landing ~ "', '') and known.bytes = found.size and known.modified_at = found.last_modified) "
            ~ "order by 1"
        ).rows %}
        {% for row in rows %}
            {% do unseen.all.append(row[0]) %}
            {% if row[1] <= var('landing_max_file_bytes') | int %}{% do unseen.readable.append(row[0]) %}{% endif %}
        {% endfor %}
    {% endif %}
    {{ return(unseen) }}
{%- endmacro %}
