{# Domains: which one a node belongs to, what its group declares, and its own copies of the core's tables. The folder below a layer is the domain; `core` belongs to none. #}

{% macro domain_of(node) -%}
    {#- By its path: the name of a unit test holds its model where that of a model holds its folder. A seed has no layer. -#}
    {%- set path = node.original_file_path.replace('\\', '/').split('/') -%}
    {%- if path[0] == 'seeds' -%}{{ return(path[1] if path | length > 2 else 'core') }}{%- endif -%}
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


{% macro domain_table(layer, name) -%}
    {#- A table that every domain has, the one of the domain of the model that is being built. Other domains' tables never stand in the way. -#}
    {{ return(ref(layer ~ '_' ~ domain_of(model) ~ '__' ~ name)) }}
{%- endmacro %}


{% macro window_start(moment) -%}
    {#- SQL date: first day of the window that a moment (UTC) is in: the domain's day, week (from Monday), month or year. -#}
    {%- set window = domain_settings(domain_of(model)).window -%}
    {%- if window not in ('day', 'week', 'month', 'year') -%}
        {{ exceptions.raise_compiler_error(
            'group ' ~ domain_of(model) ~ ': config.meta.domain.window: found ' ~ window ~ '; use one of day, week, month, year'
        ) }}
    {%- endif -%}
    date_trunc('{{ window }}', {{ moment }})::date
{%- endmacro %}
