{# Before anything is built: what is declared can be kept. A landing table that nobody reads would be accepted at the door and lost behind it. #}

{% macro check_declarations() -%}
    {%- do check_landing_tables() -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.access == 'public' -%}
        {%- do part_name(node) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro check_landing_tables() -%}
    {%- set problems = [] -%}
    {%- set readers = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith('base_') -%}
        {%- for unique_id in node.depends_on.nodes -%}
            {%- do readers.setdefault(unique_id, []).append(node) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for source in landing_sources().values() -%}
        {%- set domain = domain_of(source) -%}
        {%- set base = 'base_' ~ source.source_name ~ '__' ~ source.name -%}
        {%- set read_by = readers.get(source.unique_id, []) -%}
        {%- if not read_by -%}
            {%- do problems.append(
                source.original_file_path ~ ': source ' ~ source.source_name ~ '.' ~ source.name ~ ' is declared as a landing table, but no base_ model reads it; add '
                ~ 'models/staging/' ~ domain ~ '/' ~ base ~ ".sql: {{ landed_rows('" ~ source.source_name ~ "', '" ~ source.name ~ "') }}, and name it in int_"
                ~ domain ~ '__intake, or remove config.meta.landing'
            ) -%}
        {%- endif -%}
        {%- for node in read_by -%}
            {%- set intake = 'int_' ~ domain_of(node) ~ '__intake' -%}
            {%- set listed = graph.nodes.values() | selectattr('name', 'equalto', intake) | map(attribute='depends_on.nodes') | first | default([], true) -%}
            {%- if node.unique_id not in listed -%}
                {%- do problems.append(
                    node.original_file_path ~ ': ' ~ node.name ~ ' reads the landing table ' ~ source.source_name ~ '.' ~ source.name ~ ', but ' ~ intake
                    ~ ' does not list it, so nothing behind it would know of its rows; add ref(' ~ "'" ~ node.name ~ "'" ~ ') to models/intermediate/'
                    ~ domain_of(node) ~ '/' ~ intake ~ '.sql'
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if problems -%}
        {{ exceptions.raise_compiler_error(problems | sort | join('\n')) }}
    {%- endif -%}
{%- endmacro %}
