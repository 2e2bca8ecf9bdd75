{# What a version predicts, window by window, against what it predicted on the window that it was judged by. #}

{% macro domain_prediction_drift() -%}
{{- config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['model', 'model_version', 'window_start'],
    on_schema_change='fail',
    pre_hook="{{ forget_other_windows() }}"
) -}}
with

predictions as (

    -- A fallback's answers say nothing about the version.
    select
        model,
        model_version,
        prediction,
        {{ window_start('decision_at') }} as window_start
    from {{ domain_table('fct', 'predictions') }}
    where prediction_status = 'champion'

),

windows as (

    -- Windows that have gained decisions since they were last compared.
    select
        model,
        model_version,
        window_start
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

window_predictions as (

    select
        predictions.model,
        predictions.model_version,
        predictions.window_start,
        predictions.prediction
    from predictions
    inner join windows
        on
            predictions.model = windows.model
            and predictions.model_version = windows.model_version
            and predictions.window_start = windows.window_start

),

counts as (

    {{ ranked_value_counts('window_predictions', 'prediction', by=['model', 'model_version', 'window_start']) }}

),

reference_counts as (

    select
        model,
        version as model_version,
        false as is_category,
        prediction as value,
        row_count,
        {{ ranks(['model', 'version'], 'prediction') }}
    from {{ domain_table('stg', 'reference_predictions') }}
    where (model, version) in (select (windows.model, windows.model_version) from windows)

),

reference as (

    {{ reference_profile('reference_counts', by=['model', 'model_version']) }}

),

drift as (

    {{ drift_statistics(
        'counts',
        reference='reference',
        by=['model', 'model_version', 'window_start'],
        reference_by=['model', 'model_version'],
    ) }}

),

means as (

    select
        model,
        model_version,
        window_start,
        sum(value * row_count order by value) / sum(row_count) as mean_prediction
    from counts
    group by model, model_version, window_start

),

reference_means as (

    select
        model,
        model_version,
        sum(value * row_count order by value) / sum(row_count) as reference_mean_prediction
    from reference_counts
    group by model, model_version

)

select
    drift.model,
    drift.model_version,
    drift.window_start,
    drift.decisions,
    round(means.mean_prediction, 6) as mean_prediction,
    round(reference_means.reference_mean_prediction, 6) as reference_mean_prediction,
    drift.population_stability,
    drift.jensen_shannon,
    drift.kolmogorov_smirnov
from drift
inner join means
    on
        drift.model = means.model
        and drift.model_version = means.model_version
        and drift.window_start = means.window_start
inner join reference_means
    on
        drift.model = reference_means.model
        and drift.model_version = reference_means.model_version
{%- endmacro %}
