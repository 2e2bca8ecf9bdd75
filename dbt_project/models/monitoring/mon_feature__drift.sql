{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['model', 'model_version', 'window_start'],
    on_schema_change='fail'
) }}
-- depends_on: {{ ref('trn_late_arrival') }}

with

predictions as (

    select
        model,
        model_version,
        decision_key,
        date_trunc('week', decision_at)::date as window_start
    from {{ ref('fct_model__predictions') }}

),

versions as (

    select * from {{ ref('int_models__versions') }}

),

reference as (

    select * from {{ ref('int_features__reference') }}

),

windows as (

    -- Weeks that have gained decisions since they were last compared.
    select
        model,
        model_version,
        window_start,
        count(*) as decisions
    from predictions
    group by model, model_version, window_start
    {% if is_incremental() -%}
    having
        count(*) is distinct from (
            select any_value(standing.decisions) from {{ this }} as standing
            where
                standing.model = predictions.model
                and standing.model_version = predictions.model_version
                and standing.window_start = predictions.window_start
        )
    {%- endif %}

),

scored as (

    select
        predictions.*,
        versions.training_set,
        versions.as_of as reference_as_of
    from predictions
    inner join windows
        on
            predictions.model = windows.model
            and predictions.model_version = windows.model_version
            and predictions.window_start = windows.window_start
    inner join versions on predictions.model = versions.model and predictions.model_version = versions.version

),

counts as (

    {{ current_value_counts('scored') }}

)

select * from (
    {{ drift_statistics(
        'counts',
        reference='reference',
        by=['model', 'model_version', 'window_start', 'feature'],
        reference_by=['training_set', 'reference_as_of', 'feature'],
    ) }}
)
