{{ config(unique_key=['household_id', 'known_at']) }}
{%- set changed_from = changed_from() %}
{%- set measures = ['baskets', 'lines', 'spend_cents', 'discount_cents'] %}

with

purchases as (

    select
        household_id,
        known_at,
        {{ measures | join(',\n        ') }}
    from {{ ref('int_households__purchases') }}
    where known_at >= {{ changed_from }}

),

accumulated as (

    {{ accumulate('purchases', keys=['household_id'], measures=measures, changed_from=changed_from) }}

)

select * from accumulated
