{# What the model declarations say, for SQL that serves every model. Known only at execution: at parsing the lists are empty. #}

{% macro columns_by_role(node, role) -%}
    {% set names = [] %}
    {% for column in node.columns.values() %}
        {% set meta = column.config.meta if column.config and column.config.meta else column.meta %}
        {% if meta.get('role') == role %}{% do names.append(column.name) %}{% endif %}
    {% endfor %}
    {{ return(names) }}
{%- endmacro %}


{% macro declared_models() -%}
    {#- One dictionary a model: name, training_set (node), task, label, slices, decision_key (SQL), label_known_at, features. -#}
    {% set models = [] %}
    {% if execute %}
        {% for exposure in graph.exposures.values() | sort(attribute='name') if exposure.type == 'ml' %}
            {% set ml = (exposure.config.meta if exposure.config and exposure.config.meta else exposure.meta).ml %}
            {% set node = graph.nodes[exposure.depends_on.nodes[0]] %}
            {% do models.append({
                'name': exposure.name,
                'training_set': node,
                'task': ml.task,
                'label': ml.label,
                'slices': ml.get('evaluation', {}).get('slices', []),
                'decision_key': decision_key(node, columns_by_role(node, 'entity')),
                'decision_at': columns_by_role(node, 'decision_at')[0],
                'label_known_at': columns_by_role(node, 'label_known_at')[0],
                'features': columns_by_role(node, 'feature'),
            }) %}
        {% endfor %}
    {% endif %}
    {{ return(models) }}
{%- endmacro %}


{% macro model_outcomes(training_sets) -%}
    {#- Every declared model's decisions with what came of them, long. `training_sets`: their relations, named for the lineage. -#}
    {%- set models = declared_models() -%}
    {%- set wanted = training_sets | map('string') | list -%}
    {%- for model in models %}
    {%- set relation = api.Relation.create(database=model.training_set.database, schema=model.training_set.schema, identifier=model.training_set.alias) -%}
    {%- if relation | string not in wanted -%}
        {{ exceptions.raise_compiler_error("model " ~ model.name ~ " trains on " ~ relation ~ ", which is not among the training sets that are watched (" ~ wanted | join(', ') ~ "); add it to fct_model__predictions") }}
    {%- endif %}
    select
        '{{ model.name }}' as model,
        {{ model.decision_key }} as decision_key,
        cast({{ model.label }} as double) as actual,
        {{ model.label_known_at }} as label_known_at,
        {% if model.slices -%}
        map {
            {%- for slice in model.slices %}'{{ slice }}': cast({{ slice }} as varchar){{ ', ' if not loop.last }}{% endfor -%}
        } as slices
        {%- else -%}
        cast(map {} as map(varchar, varchar)) as slices
        {%- endif %}
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        null::varchar as model,
        null::varchar as decision_key,
        null::double as actual,
        null::timestamp as label_known_at,
        null::map(varchar, varchar) as slices
    where false
    {%- endfor %}
{%- endmacro %}
