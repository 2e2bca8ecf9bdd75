{# What the declarations of a domain's models say, for SQL that serves each of them. Known only at execution: at parsing the lists are empty. #}

{% macro columns_by_role(node, role) -%}
    {% set names = [] %}
    {% for column in node.columns.values() %}
        {% set meta = column.config.meta if column.config and column.config.meta else column.meta %}
        {% if meta.get('role') == role %}{% do names.append(column.name) %}{% endif %}
    {% endfor %}
    {{ return(names) }}
{%- endmacro %}


{% macro declared_models() -%}
    {#- One dictionary for each model of the domain of what is being built: name, training_set (node), task, label, slices, decision_key (SQL), label_known_at, features. -#}
    {% set models = [] %}
    {% if execute %}
        {% for exposure in graph.exposures.values() | sort(attribute='name') if exposure.type == 'ml' and domain_of(exposure) == domain_of(model) %}
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
