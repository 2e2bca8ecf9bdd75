{{ config(unique_key=['household_id', 'decision_date']) }}
{%- set changed_from = changed_from() %}
{%- set windows = {'7d': '7 days', '28d': '28 days', '84d': '84 days', '182d': '182 days'} %}

with

decisions as (

    -- Decisions that have fallen due, and those whose outcome has become known, or known better.
    select * from {{ ref('int_households__decisions') }}
    where decision_at >= {{ changed_from }} or spend_known_at >= {{ changed_from }}

),

known as (

    {{ point_in_time_join(
        spine='decisions',
        decision_at='decision_at',
        features=[
            {
                'table': ref('ftr_household__spend'),
                'on': ['household_id'],
                'windows': windows.values() | list,
                'columns': ['baskets', 'lines', 'spend_cents', 'discount_cents'],
            },
            {
                'table': ref('ftr_household__visits'),
                'on': ['household_id'],
                'columns': ['first_basket_at', 'last_basket_at'],
            },
        ],
    ) }}

)

select
    household_id,
    decision_date,
    decision_at,
    round(epoch(decision_at - first_basket_at) / 86400, 2) as days_since_first_basket,
    round(epoch(decision_at - last_basket_at) / 86400, 2) as days_since_last_basket,
    {%- for slug in windows %}
    spend_cents_{{ slug }} / 100 as spend_{{ slug }},
    discount_cents_{{ slug }} / 100 as discount_{{ slug }},
    baskets_{{ slug }},
    lines_{{ slug }},
    {%- endfor %}
    spend_cents_next_28d / 100 as spend_next_28d,
    spend_known_at
from known
