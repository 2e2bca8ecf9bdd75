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

),

cumulated as (

    select
        *,
        case when value is not null then sum(row_count) over up_to_value end as rows_up_to,
        sum(row_count) filter (where value is not null) over whole as rows_known,
        sum(row_count) over whole as rows_all
    from counts
    window
        up_to_value as (partition by model, model_version, window_start, feature, value is null order by value rows unbounded preceding),
        whole as (partition by model, model_version, window_start, feature)

),

placed as (

    -- Where each value stands among the reference's values: the largest of these that is not above it.
    select
        cumulated.*,
        at_or_below.value is not null and at_or_below.value = cumulated.value as is_in_reference,
        at_or_below.bin as bin_at_or_below,
        coalesce(at_or_below.rows_up_to, 0) as reference_up_to,
        coalesce(
            at_or_below.rows_up_to - case when at_or_below.value = cumulated.value then at_or_below.row_count else 0 end, 0
        ) as reference_below
    from cumulated
    asof left join reference as at_or_below
        on
            cumulated.training_set = at_or_below.training_set
            and cumulated.reference_as_of = at_or_below.reference_as_of
            and cumulated.feature = at_or_below.feature
            and cumulated.value >= at_or_below.value

),

reference_features as (

    select
        training_set,
        reference_as_of,
        feature,
        any_value(is_category) as is_category,
        any_value(rows_known) as rows_known,
        any_value(rows_all) as rows_all
    from reference
    group by training_set, reference_as_of, feature

),

compared as (

    select
        placed.*,
        reference_features.is_category,
        reference_features.rows_known as reference_known,
        case
            when placed.value is null then -1
            when placed.is_in_reference then placed.bin_at_or_below
            when reference_features.is_category then -2
            else least(
                {{ reference_bins() }} - 1,
                floor({{ reference_bins() }} * placed.reference_up_to / nullif(reference_features.rows_known, 0))
            )
        end as bin
    from placed
    inner join reference_features
        on
            placed.training_set = reference_features.training_set
            and placed.reference_as_of = reference_features.reference_as_of
            and placed.feature = reference_features.feature

),

distances as (

    -- Between two neighbouring values of the window only the reference's share grows, so its largest distance is at one side of a value.
    select
        model,
        model_version,
        window_start,
        feature,
        any_value(training_set) as training_set,
        any_value(reference_as_of) as reference_as_of,
        any_value(rows_all) as decisions,
        sum(row_count) filter (where value is null) as null_rows,
        max(
            case
                when not is_category and value is not null
                    then greatest(
                        abs(reference_up_to / reference_known - rows_up_to / rows_known),
                        abs(reference_below / reference_known - (rows_up_to - row_count) / rows_known)
                    )
            end
        ) as kolmogorov_smirnov
    from compared
    group by model, model_version, window_start, feature

),

reference_shares as (

    select
        reference.training_set,
        reference.reference_as_of,
        reference.feature,
        reference.bin,
        sum(reference.row_count) / any_value(reference.rows_all) as share
    from reference
    group by reference.training_set, reference.reference_as_of, reference.feature, reference.bin

),

window_shares as (

    select
        model,
        model_version,
        window_start,
        feature,
        bin,
        sum(row_count) / any_value(rows_all) as share
    from compared
    group by model, model_version, window_start, feature, bin

),

bins as (

    select
        distances.model,
        distances.model_version,
        distances.window_start,
        distances.feature,
        reference_shares.bin,
        reference_shares.share as reference_share
    from distances
    inner join reference_shares
        on
            distances.training_set = reference_shares.training_set
            and distances.reference_as_of = reference_shares.reference_as_of
            and distances.feature = reference_shares.feature

),

both_shares as (

    -- An empty bin counts as one ten-thousandth: the index stays finite.
    select
        coalesce(bins.model, window_shares.model) as model,
        coalesce(bins.model_version, window_shares.model_version) as model_version,
        coalesce(bins.window_start, window_shares.window_start) as window_start,
        coalesce(bins.feature, window_shares.feature) as feature,
        coalesce(bins.bin, window_shares.bin) as bin,
        greatest(coalesce(bins.reference_share, 0), 1e-4) as expected,
        greatest(coalesce(window_shares.share, 0), 1e-4) as actual
    from bins
    full outer join window_shares
        on
            bins.model = window_shares.model
            and bins.model_version = window_shares.model_version
            and bins.window_start = window_shares.window_start
            and bins.feature = window_shares.feature
            and bins.bin = window_shares.bin

),

divergences as (

    select
        model,
        model_version,
        window_start,
        feature,
        sum((actual - expected) * ln(actual / expected)) as population_stability,
        sum(
            0.5 * actual * log2(2 * actual / (actual + expected)) + 0.5 * expected * log2(2 * expected / (actual + expected))
        ) as jensen_shannon
    from both_shares
    group by model, model_version, window_start, feature

)

select
    distances.model,
    distances.model_version,
    distances.window_start,
    distances.feature,
    distances.decisions::bigint as decisions,
    round(coalesce(distances.null_rows, 0) / distances.decisions, 6) as null_share,
    round(divergences.population_stability, 6) as population_stability,
    round(divergences.jensen_shannon, 6) as jensen_shannon,
    round(distances.kolmogorov_smirnov, 6) as kolmogorov_smirnov
from distances
inner join divergences
    on
        distances.model = divergences.model
        and distances.model_version = divergences.model_version
        and distances.window_start = divergences.window_start
        and distances.feature = divergences.feature
