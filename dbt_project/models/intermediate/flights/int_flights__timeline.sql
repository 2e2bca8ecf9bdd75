{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='flight_id', post_hook="{{ record_progress() }}") }}
{%- set changed_from = changed_from() %}

with

schedules as (

    select * from {{ ref('stg_nycflights__schedules') }}

),

departures as (

    -- What was said first. What corrects it is in int_flights__corrections: this is the flight as it was known then.
    select * from {{ ref('stg_nycflights__departures') }}
    where coalesce(row_version, 1) = 1

),

arrivals as (

    select * from {{ ref('stg_nycflights__arrivals') }}

),

cancellations as (

    select * from {{ ref('stg_nycflights__cancellations') }}

),

airports as (

    select
        airport,
        time_zone,
        coalesce(known_at, timestamp '1900-01-01') as time_zone_known_at
    from {{ ref('int_airports') }}

),

touched as (

    select flight_id from schedules where known_at >= {{ changed_from }}
    union
    select flight_id from departures where known_at >= {{ changed_from }}
    union
    select flight_id from arrivals where known_at >= {{ changed_from }}
    union
    select flight_id from cancellations where known_at >= {{ changed_from }}
    {% if is_incremental() -%}
    union
    -- A file of airports came: the decisions that have not fallen due are made with it.
    select flight_id from schedules
    where
        scheduled_departure_at - interval 2 hour >= {{ changed_from }}
        and exists (select 1 from airports where time_zone_known_at >= {{ changed_from }})
    {%- endif %}

),

due as (

    select
        *,
        scheduled_departure_at - interval 2 hour as decision_at
    from schedules
    where flight_id in (select flight_id from touched)

),

scheduled as (

    -- A flight keeps the clock of its destination that was known at its decision.
    select
        due.*,
        airports.time_zone,
        airports.time_zone_known_at,
        timezone(airports.time_zone, timezone('UTC', due.scheduled_departure_at)) as departure_at_destination_clock
    from due
    asof left join airports on due.destination = airports.airport and due.decision_at >= airports.time_zone_known_at

),

arriving as (

    -- The first moment after departure at which the destination's clock shows the scheduled arrival; 2400 is the day's end.
    select
        *,
        date_trunc('day', departure_at_destination_clock)
        + to_minutes(((scheduled_arrival_hhmm // 100) * 60 + scheduled_arrival_hhmm % 100)::integer) as same_day_arrival
    from scheduled

),

timed as (

    select
        * exclude (same_day_arrival, time_zone, departure_at_destination_clock, scheduled_arrival_hhmm),
        timezone(
            'UTC',
            timezone(
                time_zone,
                case
                    when same_day_arrival > departure_at_destination_clock then same_day_arrival
                    else same_day_arrival + interval 1 day
                end
            )
        ) as scheduled_arrival_at
    from arriving

),

outcomes as (

    select
        flight_id,
        'arrived' as outcome,
        arrival_delay_minutes,
        air_time_minutes,
        known_at
    from arrivals
    where coalesce(row_version, 1) = 1

    union all

    select
        flight_id,
        status as outcome,
        null as arrival_delay_minutes,
        null as air_time_minutes,
        known_at
    from cancellations
    where coalesce(row_version, 1) = 1

),

first_outcomes as (

    -- Should a feed say both, what was known first stands.
    select * from outcomes
    where flight_id in (select flight_id from touched)
    qualify row_number() over (partition by flight_id order by known_at, outcome) = 1

)

select
    timed.flight_id,
    timed.flight_date,
    timed.carrier,
    timed.flight_number,
    timed.origin,
    timed.destination,
    timed.distance_miles,
    timed.scheduled_departure_at,
    timed.scheduled_arrival_at,
    hour(timezone('America/New_York', timezone('UTC', timed.scheduled_departure_at)))::integer as departure_hour,
    date_diff('minute', timed.scheduled_departure_at, timed.scheduled_arrival_at)::integer as scheduled_block_minutes,
    timed.known_at as schedule_known_at,
    coalesce(timed.time_zone_known_at, timestamp '1900-01-01') as time_zone_known_at,
    timed.decision_at,
    departures.tail_number,
    departures.departure_delay_minutes,
    departures.known_at as departed_at,
    first_outcomes.outcome,
    first_outcomes.arrival_delay_minutes,
    first_outcomes.air_time_minutes,
    first_outcomes.known_at as outcome_known_at,
    case
        when first_outcomes.outcome is not null
            then coalesce(first_outcomes.arrival_delay_minutes >= 15, true)
    end as is_late
from timed
left join departures on timed.flight_id = departures.flight_id
left join first_outcomes on timed.flight_id = first_outcomes.flight_id
