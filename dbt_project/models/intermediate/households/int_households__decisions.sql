with

purchases as (

    select * from {{ ref('int_households__purchases') }}

),

watermark as (

    select * from {{ ref('int_households__watermark') }}

),

households as (

    select
        household_id,
        min(known_at) as first_known_at
    from purchases
    group by household_id

),

sundays as (

    -- Every Sunday's first moment that the facts have reached.
    select unnest(
        generate_series(
            date_trunc('week', (select min(first_known_at) from households)) - interval 1 day,
            (select watermark_at from watermark),
            interval 7 day
        )
    ) as decision_at

),

decisions as (

    -- A household exists once it was seen.
    select
        households.household_id,
        sundays.decision_at
    from households
    inner join sundays on households.first_known_at <= sundays.decision_at

),

outcomes as (

    select
        decisions.household_id,
        decisions.decision_at,
        sum(purchases.spend_cents) as spend_cents,
        max(purchases.known_at) as known_at
    from decisions
    inner join purchases
        on
            decisions.household_id = purchases.household_id
            and decisions.decision_at < purchases.purchased_at
            and decisions.decision_at + interval 28 day >= purchases.purchased_at
    group by decisions.household_id, decisions.decision_at

)

select
    decisions.household_id,
    decisions.decision_at::date as decision_date,
    decisions.decision_at,
    case when watermark.watermark_at >= decisions.decision_at + interval 28 day then coalesce(outcomes.spend_cents, 0) end as spend_cents_next_28d,
    -- Known when the four weeks are over, or with the last that came late of them.
    case
        when watermark.watermark_at >= decisions.decision_at + interval 28 day
            then greatest(decisions.decision_at + interval 28 day, outcomes.known_at)
    end as spend_known_at
from decisions
left join outcomes on decisions.household_id = outcomes.household_id and decisions.decision_at = outcomes.decision_at
cross join watermark
