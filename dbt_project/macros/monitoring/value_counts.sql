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
    {#- Training-set nodes of the domain's models, with the union of the features that they use. -#}
    {% set found = {} %}
    {% for model in declared_models() %}
        {% do found.setdefault(model.training_set.name, {'node': model.training_set, 'features': model.features,
            'decision_key': model.decision_key, 'label_known_at': model.label_known_at, 'decision_at': model.decision_at}) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}


{% macro ranks(by, value) -%}
    {#- For value counts: rows_up_to, the rows with this value or a smaller one, and rows_known, those with any. Null is a value, and has no rank. -#}
    {%- set order = 'partition by ' ~ by | join(', ') ~ ', ' ~ value ~ ' is null order by ' ~ value -%}
    case
        when {{ value }} is not null then sum(row_count) over ({{ order }} rows unbounded preceding)
    end as rows_up_to,
    case
        when {{ value }} is not null
            then sum(row_count) over ({{ order }} rows between unbounded preceding and unbounded following)
    end as rows_known
{%- endmacro %}


{% macro ranked_value_counts(rows, value, by) -%}
    {#- How often each value stands in the rows, with its `ranks`, by the columns `by`. -#}
    {%- set keys = by | join(', ') -%}
    select
        {{ keys }},
        value,
        row_count,
        {{ ranks(by, 'value') }}
    from (
        select
            {{ keys }},
            {{ value }} as value,
            count(*) as row_count
        from {{ rows }}
        group by all
    )
{%- endmacro %}


{% macro reference_value_counts(wanted) -%}
    {#- `wanted`: a CTE of (training_set, reference_as_of). Per feature, the ranked value counts of the rows whose label was known by then. -#}
    {%- for name, set in watched_training_sets().items() %}
    {%- set set_loop = loop %}
    {%- for feature in set.features %}
    select
        '{{ name }}' as training_set,
        '{{ feature }}' as feature,
        {{ is_category(set.node, feature) | lower }} as is_category,
        *
    from (
        {{ ranked_value_counts(
            set.node.relation_name ~ ' inner join ' ~ wanted ~ " as wanted on wanted.training_set = '" ~ name ~ "' and "
            ~ set.label_known_at ~ ' <= wanted.reference_as_of',
            feature_value(set.node, feature),
            by=['reference_as_of'],
        ) }}
    )
    {{ 'union all' if not (loop.last and set_loop.last) }}
    {%- endfor %}
    {%- else %}
    select
        null::varchar as training_set,
        null::varchar as feature,
        null::boolean as is_category,
        null::timestamp as reference_as_of,
        null::double as value,
        null::bigint as row_count,
        null::bigint as rows_up_to,
        null::bigint as rows_known
    where false
    {%- endfor %}
{%- endmacro %}


{% macro watched_rows(name, scored) -%}
    {#- The features, as numbers, of the scored decisions of one training set. `scored`: a CTE of (window_id, training_set, decision_key, decision_at). -#}
    {%- set set = watched_training_sets()[name] %}
    select
        scored.window_id,
        {%- for feature in set.features %}
        {{ feature_value(set.node, feature) }} as {{ feature }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ scored }} as scored
    inner join {{ set.node.relation_name }} as training_set
        {#- The moment of the decision adds nothing to its key, but lets DuckDB skip the history by its statistics. #}
        on
            scored.training_set = '{{ name }}'
            and scored.decision_at = training_set.{{ set.decision_at }}
            and scored.decision_key = {{ set.decision_key }}
{%- endmacro %}


{% macro feature_names() -%}
    {#- A number for each watched feature of each training set: short keys sort and join many times faster than names. -#}
    {%- set rows = [] -%}
    {%- for name, set in watched_training_sets().items() -%}
        {%- for feature in set.features -%}
            {%- do rows.append("('" ~ name ~ "', '" ~ feature ~ "', " ~ (rows | length) ~ ")") -%}
        {%- endfor -%}
    {%- endfor -%}
    select
        training_set,
        feature,
        feature_id::integer as feature_id
    from (values {{ (rows or ["(null, null, null)"]) | join(', ') }}) as names (training_set, feature, feature_id)
{%- endmacro %}


{% macro current_value_counts(rows_of) -%}
    {#- `rows_of`: training set -> the CTE that holds its `watched_rows`. Per window and feature (as numbered by `feature_names`), ranked value counts. -#}
    {%- set count = namespace(features=0) -%}
    {%- for name, set in watched_training_sets().items() %}
    {%- for feature in set.features %}
    {{ 'union all' if count.features }}
    select
        {{ count.features }}::integer as feature_id,
        *
    from (
        {{ ranked_value_counts(rows_of[name], feature, by=['window_id']) }}
    )
    {%- set count.features = count.features + 1 %}
    {%- endfor %}
    {%- else %}
    select
        null::integer as feature_id,
        null::integer as window_id,
        null::double as value,
        null::bigint as row_count,
        null::bigint as rows_up_to,
        null::bigint as rows_known
    where false
    {%- endfor %}
{%- endmacro %}


{% macro forget_other_windows() -%}
    {#- Rows of windows in which nothing was decided: the domain's cadence has changed since, or the model is not declared any more. -#}
    {%- if is_incremental() -%}
        delete from {{ this }} as standing
        where
            not exists (
                select 1 from {{ domain_table('fct', 'predictions') }} as predictions
                where
                    predictions.model = standing.model
                    and predictions.model_version = standing.model_version
                    and {{ window_start('predictions.decision_at') }} = standing.window_start
            )
    {%- endif -%}
{%- endmacro %}
