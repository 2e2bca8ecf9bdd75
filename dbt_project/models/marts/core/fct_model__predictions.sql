{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['model', 'decision_key'],
    on_schema_change='fail'
) }}

with

predictions as (

    select * from {{ ref('stg_lake__predictions') }}

),

outcomes as (

    {{ model_outcomes([ref('trn_late_arrival')]) }}

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
    or joined.prediction is distinct from standing.prediction
    or joined.model_version is distinct from standing.model_version
{%- endif %}
