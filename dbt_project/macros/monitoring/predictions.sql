{# What was predicted in a domain, by which version, and what came of it. #}

{% macro domain_predictions(training_sets) -%}
{#- `training_sets`: refs to all that the domain's models train on, named in the model so that dbt's lineage shows them. -#}
{{- config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['model', 'decision_key'],
    on_schema_change='fail',
    pre_hook="{{ forget_other_models() }}"
) -}}
with

predictions as (

    select * from {{ domain_table('stg', 'predictions') }}

),

outcomes as (

    {{ domain_outcomes(training_sets) }}

),

joined as (

    select
        predictions.model,
        predictions.decision_key,
        predictions.decision_at,
        predictions.model_version,
        predictions.model_sha256,
        predictions.prediction,
        predictions.prediction_status,
        predictions.status_reason,
        predictions.scored_as_of,
        outcomes.actual,
        outcomes.label_known_at,
        outcomes.slices
    from predictions
    left join outcomes
        on predictions.model = outcomes.model and predictions.decision_key = outcomes.decision_key

)

select joined.*
from joined
{% if is_incremental() -%}
left join {{ this }} as standing
    on joined.model = standing.model and joined.decision_key = standing.decision_key
where
    standing.model is null
    or joined.actual is distinct from standing.actual
    or joined.label_known_at is distinct from standing.label_known_at
    or joined.prediction is distinct from standing.prediction
    or joined.model_version is distinct from standing.model_version
{%- endif %}
{%- endmacro %}


{% macro domain_outcomes(training_sets) -%}
    {#- The decisions of each of the domain's models with what came of them, long. -#}
    {%- set models = declared_models() -%}
    {%- set domain = domain_of(model) -%}
    {%- set wanted = training_sets | map('string') | list -%}
    {%- for model in models %}
    {%- set relation = api.Relation.create(database=model.training_set.database, schema=model.training_set.schema, identifier=model.training_set.alias) -%}
    {%- if relation | string not in wanted -%}
        {{ exceptions.raise_compiler_error(
            'model ' ~ model.name ~ ' of ' ~ domain ~ ' trains on ' ~ model.training_set.name ~ ', which fct_' ~ domain ~ '__predictions does not list (it lists '
            ~ (wanted | join(', ') or 'none') ~ "); add ref('" ~ model.training_set.name ~ "') there, in models/marts/" ~ domain ~ '/'
        ) }}
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
