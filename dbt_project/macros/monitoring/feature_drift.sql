{# Each window's decisions against what the version that decided them was trained on, feature by feature. #}

{% macro domain_feature_drift() -%}
{{- config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['model', 'model_version', 'window_start'],
    on_schema_change='fail',
    pre_hook="{{ forget_other_windows() }}"
) -}}
{%- set rows_of = {} %}
{%- for name in watched_training_sets() %}{% do rows_of.update({name: 'rows_of_' ~ loop.index}) %}{% endfor %}

with

predictions as (

    select
        model,
        model_version,
        decision_key,
        decision_at,
        {{ window_start('decision_at') }} as window_start
    from {{ domain_table('fct', 'predictions') }}

),

versions as (

    select * from {{ domain_table('int', 'model_versions') }}

),

reference as (

    select * from {{ domain_table('int', 'feature_reference') }}

),

windows as (

    -- Windows that have gained decisions since they were last compared.
    select
        predictions.model,
        predictions.model_version,
        predictions.window_start,
        any_value(versions.training_set) as training_set,
        any_value(versions.as_of) as reference_as_of,
        row_number() over (order by predictions.model, predictions.model_version, predictions.window_start)::integer as window_id
    from predictions
    inner join versions on predictions.model = versions.model and predictions.model_version = versions.version
    group by predictions.model, predictions.model_version, predictions.window_start
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
        windows.window_id,
        windows.training_set,
        predictions.decision_key,
        predictions.decision_at
    from predictions
    inner join windows
        on
            predictions.model = windows.model
            and predictions.model_version = windows.model_version
            and predictions.window_start = windows.window_start

),
{% for name, cte in rows_of.items() %}
{{ cte }} as materialized (
    {{ watched_rows(name, 'scored') }}

),
{% endfor %}
counts as (

    {{ current_value_counts(rows_of) }}

),

feature_names as (

    {{ feature_names() }}

),

moments as (

    select
        reference_as_of,
        row_number() over (order by reference_as_of)::integer as moment_id
    from (select distinct windows.reference_as_of from windows) as distinct_moments

),

placed_counts as (

    select
        counts.*,
        moments.moment_id
    from counts
    inner join windows on counts.window_id = windows.window_id
    inner join moments on windows.reference_as_of = moments.reference_as_of

),

profiles as (

    select
        moments.moment_id,
        feature_names.feature_id,
        reference.* exclude (training_set, reference_as_of, feature)
    from reference
    inner join moments on reference.reference_as_of = moments.reference_as_of
    inner join feature_names on reference.training_set = feature_names.training_set and reference.feature = feature_names.feature

),

drift as (

    {{ drift_statistics(
        'placed_counts',
        reference='profiles',
        by=['window_id', 'feature_id'],
        reference_by=['moment_id', 'feature_id'],
    ) }}

)

select
    windows.model,
    windows.model_version,
    windows.window_start,
    feature_names.feature,
    drift.decisions,
    drift.null_share,
    drift.population_stability,
    drift.jensen_shannon,
    drift.kolmogorov_smirnov
from drift
inner join windows on drift.window_id = windows.window_id
inner join feature_names on drift.feature_id = feature_names.feature_id
{%- endmacro %}
