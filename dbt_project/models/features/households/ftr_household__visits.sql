{{ config(unique_key=['household_id', 'known_at']) }}
{%- set changed_from = changed_from() %}

with

purchases as (

    select * from {{ ref('int_households__purchases') }}

),

visits as (

    select
        household_id,
        known_at,
        min(purchased_at) over known_so_far as first_basket_at,
        max(purchased_at) over known_so_far as last_basket_at
    from purchases
    window known_so_far as (partition by household_id order by known_at)

)

select distinct *
from visits
where known_at >= {{ changed_from }}
