{{ config(materialized='view') }}

with

flights as (

    select * from {{ ref('int_flights__timeline') }}

),

corrections as (

    select * from {{ ref('int_flights__corrections') }}

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
        greatest(outcome_known_at, schedule_known_at) as known_at,
        -- How long it flew is told against the schedule as it stood at the decision.
        coalesce(departed_at <= greatest(outcome_known_at, schedule_known_at), false) as is_departure_known,
        coalesce(departed_at <= greatest(outcome_known_at, schedule_known_at), false)
        and decision_at <= greatest(outcome_known_at, schedule_known_at) as is_elapsed_known
    from flights
    where outcome is not null

),

corrected as (

    select
        corrections.fact,
        corrections.departure_delay_minutes,
        corrections.earlier_departure_delay_minutes,
        corrections.arrival_delay_minutes,
        corrections.earlier_arrival_delay_minutes,
        corrections.status,
        corrections.earlier_status,
        flights.flight_id,
        greatest(corrections.known_at, flights.schedule_known_at) as known_at,
        flights.origin,
        flights.carrier,
        flights.destination,
        flights.flight_number,
        flights.departure_hour,
        ended.outcome,
        ended.known_at as ended_at,
        ended.is_departure_known,
        ended.is_elapsed_known
    from corrections
    inner join flights on corrections.flight_id = flights.flight_id
    left join ended on corrections.flight_id = ended.flight_id

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
        case when is_departure_known then arrival_delay_minutes - departure_delay_minutes end as en_route_delay_minutes,
        case when is_elapsed_known then scheduled_block_minutes + arrival_delay_minutes - departure_delay_minutes end as elapsed_minutes,
        (outcome = 'cancelled')::integer as cancellations
    from ended

    union all by name

    -- A correction adds the difference to what was counted, at the moment at which it becomes known.
    select
        {{ flight_event_keys() }},
        (departure_delay_minutes >= 15)::integer - (earlier_departure_delay_minutes >= 15)::integer as delayed_departures,
        departure_delay_minutes - earlier_departure_delay_minutes as departure_delay_minutes
    from corrected
    where fact = 'departure'

    union all by name

    select
        {{ flight_event_keys() | replace('known_at', 'greatest(known_at, ended_at) as known_at') }},
        earlier_departure_delay_minutes - departure_delay_minutes as en_route_delay_minutes,
        case when is_elapsed_known then earlier_departure_delay_minutes - departure_delay_minutes end as elapsed_minutes
    from corrected
    where fact = 'departure' and outcome = 'arrived' and is_departure_known

    union all by name

    select
        {{ flight_event_keys() }},
        (arrival_delay_minutes >= 15)::integer - (earlier_arrival_delay_minutes >= 15)::integer as late_outcomes,
        arrival_delay_minutes - earlier_arrival_delay_minutes as arrival_delay_minutes,
        case when is_departure_known then arrival_delay_minutes - earlier_arrival_delay_minutes end as en_route_delay_minutes,
        case when is_elapsed_known then arrival_delay_minutes - earlier_arrival_delay_minutes end as elapsed_minutes
    from corrected
    where fact = 'arrival' and outcome = 'arrived'

    union all by name

    select
        {{ flight_event_keys() }},
        (status = 'cancelled')::integer - (earlier_status = 'cancelled')::integer as cancellations
    from corrected
    where fact = 'cancellation' and outcome != 'arrived'

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
