{{ config(materialized='incremental', incremental_strategy='append') }}
-- depends_on: {{ ref('trn_late_arrival') }}

with

predictions as (

    select distinct
        model,
        model_version
    from {{ ref('fct_model__predictions') }}

),

versions as (

    select * from {{ ref('int_models__versions') }}

),

wanted as (

    -- Versions that predict and whose training set has not been counted yet; models may share one.
    select distinct
        versions.training_set,
        versions.as_of as reference_as_of
    from versions
    inner join predictions on versions.model = predictions.model and versions.version = predictions.model_version
    {% if is_incremental() -%}
    where
        not exists (
            select 1 from {{ this }} as counted
            where counted.training_set = versions.training_set and counted.reference_as_of = versions.as_of
        )
    {%- endif %}

),

counts as (

    {{ reference_value_counts('wanted') }}

),

cumulated as (

    select
        *,
        case when value is not null then sum(row_count) over up_to_value end as rows_up_to,
        sum(row_count) filter (where value is not null) over whole as rows_known,
        sum(row_count) over whole as rows_all
    from counts
    window
        up_to_value as (partition by training_set, reference_as_of, feature, value is null order by value rows unbounded preceding),
        whole as (partition by training_set, reference_as_of, feature)

)

select
    training_set,
    reference_as_of,
    feature,
    is_category,
    value,
    row_count::bigint as row_count,
    rows_up_to::bigint as rows_up_to,
    coalesce(rows_known, 0)::bigint as rows_known,
    rows_all::bigint as rows_all,
    -- Tenths of the reference by rank; a category is a bin of its own, and so is null.
    case
        when value is null then -1
        when is_category then value
        else least({{ reference_bins() }} - 1, floor({{ reference_bins() }} * (rows_up_to - row_count / 2.0) / rows_known))
    end as bin
from cumulated
