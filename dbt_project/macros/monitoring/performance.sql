{# How well a domain's models did, day by day, once (nearly) all outcomes of the day are known. #}

{% macro domain_performance() -%}
{%- set day_and_slice = 'model, decision_date, slice_name, slice_value, decisions' %}

with

predictions as (

    select * from {{ domain_table('fct', 'predictions') }}

),

tasks as (

    {% for model in declared_models() -%}
    select
        '{{ model.name }}' as model,
        '{{ model.task }}' as task
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        null::varchar as model,
        null::varchar as task
    where false
    {% endfor %}

),

complete_days as (

    -- The outcomes that become known first are not like the rest, so a day is shown once (nearly) all are known. An outcome without a label is known too.
    select
        model,
        decision_at::date as decision_date
    from predictions
    group by model, decision_at::date
    having count(label_known_at) >= {{ domain_settings(domain_of(model)).get('complete_share', 0.99) }} * count(*)

),

judged as (

    -- Only decisions whose end is known; one that is not yet known is no success and no failure.
    select
        predictions.model,
        tasks.task,
        predictions.decision_at::date as decision_date,
        predictions.slices,
        predictions.actual,
        predictions.prediction,
        least(greatest(predictions.prediction, 1e-15), 1 - 1e-15) as probability,
        predictions.prediction_status = 'fallback' as is_fallback
    from predictions
    inner join tasks on predictions.model = tasks.model
    inner join complete_days
        on predictions.model = complete_days.model and predictions.decision_at::date = complete_days.decision_date
    where predictions.actual is not null

),

losses as (

    select
        *,
        (prediction - actual) ^ 2 as squared_error,
        abs(prediction - actual) as absolute_error,
        -ln(case when actual = 1 then probability else 1 - probability end) as surprise
    from judged

),

sliced as (

    select
        *,
        'overall' as slice_name,
        'all' as slice_value
    from losses

    union all

    select
        losses.*,
        unnest(map_keys(losses.slices)) as slice_name,
        unnest(map_values(losses.slices)) as slice_value
    from losses

),

ranked as (

    -- Mid-ranks within a day and slice: the area under the ROC curve is the Mann-Whitney statistic of these.
    select
        *,
        rank() over (partition by model, decision_date, slice_name, slice_value order by prediction)
        + (count(*) over (partition by model, decision_date, slice_name, slice_value, prediction) - 1) / 2.0 as mid_rank
    from sliced

),

summed as (

    -- In order of size: the sum of fractions depends on the order of addition, and the same rows must give the same bytes.
    select
        model,
        task,
        decision_date,
        slice_name,
        slice_value,
        count(*) as decisions,
        avg(is_fallback::integer) as fallback_share,
        avg(actual order by actual) as mean_actual,
        avg(prediction order by prediction) as mean_prediction,
        case when task = 'binary_classification' then avg(squared_error order by squared_error) end as brier,
        case when task = 'regression' then sqrt(avg(squared_error order by squared_error)) end as rmse,
        case when task = 'regression' then avg(absolute_error order by absolute_error) end as mae,
        case when task = 'binary_classification' then avg(surprise order by surprise) end as log_loss,
        case
            when task = 'binary_classification'
                then (
                    sum(mid_rank) filter (where actual = 1)
                    - count(*) filter (where actual = 1) * (count(*) filter (where actual = 1) + 1) / 2.0
                ) / nullif(count(*) filter (where actual = 1) * count(*) filter (where actual = 0), 0)
        end as roc_auc
    from ranked
    group by model, task, decision_date, slice_name, slice_value

),

metrics as (

    select
        {{ day_and_slice }},
        'mean_actual' as metric,
        mean_actual as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'mean_prediction' as metric,
        mean_prediction as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'fallback_share' as metric,
        fallback_share as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'brier' as metric,
        brier as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'rmse' as metric,
        rmse as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'log_loss' as metric,
        log_loss as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'mae' as metric,
        mae as value
    from summed

    union all

    select
        {{ day_and_slice }},
        'roc_auc' as metric,
        roc_auc as value
    from summed

)

select
    model,
    decision_date,
    slice_name,
    slice_value,
    metric,
    round(value, 6) as value,
    decisions
from metrics
where value is not null
{%- endmacro %}
