{# Which versions of a domain's models were judged, and what they were trained on. #}

{% macro domain_model_versions() -%}
{%- do source('lake_' ~ domain_of(model), 'evaluations') -%}
with

evaluations as (

    {{ lake_files(
        'evaluations/*/*.parquet',
        reader='read_parquet',
        columns={'model': 'varchar', 'version': 'integer', 'as_of': 'timestamp'},
        models=declared_models() | map(attribute='name') | list,
    ) }}

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
{%- endmacro %}
