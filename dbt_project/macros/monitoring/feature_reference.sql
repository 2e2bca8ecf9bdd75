{# The distributions that drift is measured from: a version's training set is counted once, and kept. #}

{% macro domain_feature_reference() -%}
{{- config(
    materialized='incremental',
    incremental_strategy='append'
) -}}
with

predictions as (

    select distinct
        model,
        model_version
    from {{ domain_table('fct', 'predictions') }}

),

versions as (

    select * from {{ domain_table('int', 'model_versions') }}

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

)

{{ reference_profile('counts', by=['training_set', 'reference_as_of', 'feature']) }}
{%- endmacro %}
