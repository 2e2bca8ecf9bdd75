{#
    Drift at warehouse speed: distributions are compared through value counts, so a feature is read once, whatever the number of statistics.
    The reference of a model version is its training set; it is counted once and kept.
#}

{% macro feature_value(node, feature) -%}
    {#- A feature's value as a number; a category's number is taken from its hash, and only its equality means something. -#}
    {%- set type = node.columns[feature].data_type | lower -%}
    {%- if type in ('varchar', 'text', 'string') -%}
        (hash({{ feature }}) >> 12)::double
    {%- else -%}
        {{ feature }}::double
    {%- endif -%}
{%- endmacro %}


{% macro is_category(node, feature) -%}
    {{ return(node.columns[feature].data_type | lower in ('varchar', 'text', 'string')) }}
{%- endmacro %}


{% macro watched_training_sets() -%}
    {#- Training-set nodes with the union of the features that their models use. -#}
    {% set found = {} %}
    {% for model in declared_models() %}
        {% do found.setdefault(model.training_set.name, {'node': model.training_set, 'features': model.features,
            'decision_key': model.decision_key, 'label_known_at': model.label_known_at, 'decision_at': model.decision_at}) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}


{% macro reference_bins() -%} 10 {%- endmacro %}


{% macro reference_value_counts(wanted) -%}
    {#- `wanted`: a CTE of (training_set, reference_as_of). One row per feature and value of the rows whose label was known by then. -#}
    {%- for name, set in watched_training_sets().items() %}
    {%- set set_loop = loop %}
    {%- for feature in set.features %}
    select
        '{{ name }}' as training_set,
        wanted.reference_as_of,
        '{{ feature }}' as feature,
        {{ is_category(set.node, feature) | lower }} as is_category,
        {{ feature_value(set.node, feature) }} as value,
        count(*) as row_count
    from {{ set.node.relation_name }}
    inner join {{ wanted }} as wanted
        on wanted.training_set = '{{ name }}' and {{ set.label_known_at }} <= wanted.reference_as_of
    group by all
    {{ 'union all' if not (loop.last and set_loop.last) }}
    {%- endfor %}
    {%- else %}
    select
        null::varchar as training_set,
        null::timestamp as reference_as_of,
        null::varchar as feature,
        null::boolean as is_category,
        null::double as value,
        null::bigint as row_count
    where false
    {%- endfor %}
{%- endmacro %}


{% macro current_value_counts(scored) -%}
    {#- `scored`: a CTE of (model, model_version, training_set, reference_as_of, window_start, decision_key). -#}
    {%- for name, set in watched_training_sets().items() %}
    select
        model,
        model_version,
        training_set,
        reference_as_of,
        window_start,
        feature,
        value,
        count(*) as row_count
    from (
        select * from (
            select
                scored.model,
                scored.model_version,
                scored.training_set,
                scored.reference_as_of,
                scored.window_start,
                {%- for feature in set.features %}
                {{ feature_value(set.node, feature) }} as {{ feature }}{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ scored }} as scored
            inner join {{ set.node.relation_name }} as training_set
                on scored.training_set = '{{ name }}' and scored.decision_key = {{ set.decision_key }}
        )
        unpivot include nulls (value for feature in ({{ set.features | join(', ') }}))
    )
    group by all
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        null::varchar as model,
        null::integer as model_version,
        null::varchar as training_set,
        null::timestamp as reference_as_of,
        null::date as window_start,
        null::varchar as feature,
        null::double as value,
        null::bigint as row_count
    where false
    {%- endfor %}
{%- endmacro %}
