{# Domains: which one a node belongs to, and what its group declares. The folder below a layer is the domain; `core` belongs to none. #}

{% macro domain_of(node) -%}
    {#- By its path: the name of a unit test holds its model where that of a model holds its folder. -#}
    {%- set path = node.original_file_path.replace('\\', '/').split('/') -%}
    {{ return(path[2] if path | length > 3 else 'core') }}
{%- endmacro %}


{% macro domain_settings(name) -%}
    {#- `config.meta.domain` of the group of that name, completed. Known only at execution: at parsing it is what is usual. -#}
    {%- set found = {'window': 'week', 'least_outcomes': 100, 'least_decisions': 500} -%}
    {%- if execute -%}
        {%- for group in graph.groups.values() if group.name == name -%}
            {%- do found.update(group.config.get('meta', {}).get('domain', {})) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
