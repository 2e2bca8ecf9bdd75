{{ config(materialized='view') }}

with

flights as (

    select * from {{ ref('int_flights__timeline') }}

),

watermark as (

    select * from {{ ref('int_flights__watermark') }}

),

scheduled as (

    -- The scheduled time passes: from now on the flight is waited for.
    select
        *,
        greatest(scheduled_departure_at, schedule_known_at) as known_at
    from flights
    where greatest(scheduled_departure_at, schedule_known_at) <= (select watermark_at from watermark)

),

waits_ended as (

    -- It left, or is known not to leave, whichever was said first; one that left early was never waited for.
    select
        *,
        greatest(
            least(departed_at, case when outcome = 'cancelled' then outcome_known_at end), scheduled_departure_at, schedule_known_at
        ) as known_at
    from flights
    where departed_at is not null or outcome = 'cancelled'

),

long_waits as (

    -- Fifteen minutes have passed and it had still not left.
    select
        flights.*,
        greatest(flights.scheduled_departure_at + interval 15 minute, flights.schedule_known_at) as known_at,
        waits_ended.known_at as wait_ended_at
    from flights
    left join waits_ended on flights.flight_id = waits_ended.flight_id
    where
        waits_ended.known_at is null
        or waits_ended.known_at > greatest(flights.scheduled_departure_at + interval 15 minute, flights.schedule_known_at)

),

departed as (

    -- Where it goes is known from its schedule, so not before that.
    select
        *,
        greatest(departed_at, schedule_known_at) as known_at
    from flights
    where departed_at is not null

),

ended as (

    select
        *,
        greatest(outcome_known_at, schedule_known_at) as known_at
    from flights
    where outcome is not null

),

events as (

    select
        {{ flight_event_keys() }},
        1 as scheduled_flights,
        1 as waiting_flights,
        epoch(scheduled_departure_at)::bigint // 60 as waiting_since_minutes
    from scheduled

    union all by name

    select
        {{ flight_event_keys() }},
        -1 as waiting_flights,
        -(epoch(scheduled_departure_at)::bigint // 60) as waiting_since_minutes
    from waits_ended
    where known_at <= (select watermark_at from watermark)

    union all by name

    select
        {{ flight_event_keys() }},
        1 as long_waiting_flights
    from long_waits
    where known_at <= (select watermark_at from watermark)

    union all by name

    select
        {{ flight_event_keys() | replace('known_at', 'wait_ended_at as known_at') }},
        -1 as long_waiting_flights
    from long_waits
    where wait_ended_at <= (select watermark_at from watermark)

    union all by name

    select
        {{ flight_event_keys() }},
        1 as departures,
        (departure_delay_minutes >= 15)::integer as delayed_departures,
        departure_delay_minutes
    from departed

    union all by name

    select
        {{ flight_event_keys() }},
        1 as outcomes,
        is_late::integer as late_outcomes,
        (outcome = 'arrived')::integer as arrivals,
        arrival_delay_minutes,
        case when departed_at <= known_at then arrival_delay_minutes - departure_delay_minutes end as en_route_delay_minutes,
        case
            when departed_at <= known_at then scheduled_block_minutes + arrival_delay_minutes - departure_delay_minutes
        end as elapsed_minutes,
        (outcome = 'cancelled')::integer as cancellations
    from ended

)

select
    flight_id,
    known_at,
    origin,
    carrier,
    destination,
    flight_number,
    departure_hour,
{% for measure in flight_event_measures() -%}
coalesce({{ measure }}, 0) as {{ measure }}{{ ',' if not loop.last }}
{% endfor %}
from events
