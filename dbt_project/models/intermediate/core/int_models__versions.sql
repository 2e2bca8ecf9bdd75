{{ config(materialized='view') }}

with

evaluations as (

    select * from {{ ref('stg_lake__evaluations') }}

),

training_sets as (

    {% for model in declared_models() -%}
    select
        '{{ model.name }}' as model,
        '{{ model.training_set.name }}' as training_set
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        null::varchar as model,
        null::varchar as training_set
    where false
    {% endfor %}

)

select distinct
    evaluations.model,
    evaluations.version,
    training_sets.training_set,
    evaluations.as_of
from evaluations
inner join training_sets on evaluations.model = training_sets.model
