{{ config(unique_key='flight_id') }}
{%- set changed_from = changed_from() %}

with

flights as (

    -- Neighbours depart up to an hour later: one that was published three hours before its departure was known at any neighbour's decision.
    select
        *,
        schedule_known_at <= scheduled_departure_at - interval 3 hour as is_known_in_time
    from {{ ref('int_flights__timeline') }}

),

changed as (

    -- A schedule published later can add neighbours to the last flights of the day before; a file of airports can change arrivals.
    select min(scheduled_departure_at) as first_departure_at
    from flights
    where greatest(schedule_known_at, time_zone_known_at) >= {{ changed_from }}

),

neighbours as (

    select
        flight_id,
        scheduled_departure_at,
        greatest(
            schedule_known_at,
            time_zone_known_at,
            max(schedule_known_at) filter (where is_known_in_time) over around_origin,
            max(schedule_known_at) filter (where is_known_in_time) over around_destination
        ) as known_at,
        timezone('America/New_York', timezone('UTC', scheduled_departure_at)) as local_departure_at,
        scheduled_block_minutes,
        distance_miles,
        count(*) filter (where is_known_in_time) over around_origin as origin_flights_within_30m,
        count(*) filter (where is_known_in_time) over before_it as origin_flights_in_2h_before,
        count(*) filter (where is_known_in_time) over around_carrier as origin_carrier_flights_within_30m,
        count(*) filter (where is_known_in_time) over around_destination as destination_flights_within_60m
    from flights
    where scheduled_departure_at >= (select first_departure_at from changed) - interval 3 hour
    window
        around_origin as (
            partition by origin order by scheduled_departure_at
            range between interval 30 minute preceding and interval 30 minute following
        ),
        before_it as (
            partition by origin order by scheduled_departure_at
            range between interval 2 hour preceding and current row
        ),
        around_carrier as (
            partition by origin, carrier order by scheduled_departure_at
            range between interval 30 minute preceding and interval 30 minute following
        ),
        around_destination as (
            partition by destination order by scheduled_departure_at
            range between interval 60 minute preceding and interval 60 minute following
        )

)

select
    flight_id,
    known_at,
    (hour(local_departure_at) * 60 + minute(local_departure_at))::integer as departure_minute_of_day,
    isodow(local_departure_at)::integer as departure_day_of_week,
    scheduled_block_minutes,
    distance_miles,
    origin_flights_within_30m::integer as origin_flights_within_30m,
    origin_carrier_flights_within_30m::integer as origin_carrier_flights_within_30m,
    destination_flights_within_60m::integer as destination_flights_within_60m,
    origin_flights_in_2h_before::integer as origin_flights_in_2h_before
from neighbours
where scheduled_departure_at >= (select first_departure_at from changed) - interval 1 hour
