{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['household_id', 'basket_id', 'purchased_at', 'known_at'],
    pre_hook="{{ forget_what_may_change() }}",
    post_hook="{{ record_progress() }}",
) }}
{%- set changed_from = changed_from() %}

with

transactions as (

    select * from {{ ref('stg_completejourney__transactions') }}

),

fresh as (

    select * from transactions
    where known_at >= {{ changed_from }}

),

changes as (

    select
        household_id,
        basket_id,
        purchased_at,
        known_at,
        1 as lines,
        spend_cents,
        discount_cents
    from fresh

    union all

    -- A correction takes back, at the moment at which it becomes known, what the line said before.
    select
        earlier.household_id,
        earlier.basket_id,
        earlier.purchased_at,
        fresh.known_at,
        -1 as lines,
        -earlier.spend_cents as spend_cents,
        -earlier.discount_cents as discount_cents
    from fresh
    inner join transactions as earlier
        on
            fresh.basket_id = earlier.basket_id
            and fresh.product_id = earlier.product_id
            and fresh.row_version = earlier.row_version + 1

),

first_known as (

    select
        household_id,
        basket_id,
        min(known_at) as known_at
    from transactions
    group by household_id, basket_id

),

totals as (

    select
        household_id,
        basket_id,
        purchased_at,
        known_at,
        sum(lines)::integer as lines,
        sum(spend_cents)::bigint as spend_cents,
        sum(discount_cents)::bigint as discount_cents
    from changes
    group by household_id, basket_id, purchased_at, known_at

)

select
    totals.household_id,
    totals.basket_id,
    totals.purchased_at,
    totals.known_at,
    -- A receipt counts once, whatever comes of its lines.
    (
        totals.known_at = first_known.known_at
        and totals.purchased_at
        = min(totals.purchased_at) over (partition by totals.household_id, totals.basket_id, totals.known_at)
    )::integer as baskets,
    totals.lines,
    totals.spend_cents,
    totals.discount_cents
from totals
inner join first_known
    on totals.household_id = first_known.household_id and totals.basket_id = first_known.basket_id
