{{ config(materialized='view') }}

with

flights as (

    select * from {{ ref('int_flights__timeline') }}

),

corrections as (

    select * from {{ ref('int_flights__corrections') }}
    where is_newest

),

watermark as (

    select * from {{ ref('int_flights__watermark') }}

)

select
    flights.flight_id,
    flights.decision_at,
    flights.flight_date,
    flights.carrier,
    flights.flight_number,
    flights.origin,
    flights.destination,
    flights.departure_hour,
    'all' as network,
    case when corrections.fact = 'arrival' then corrections.arrival_delay_minutes >= 15 else flights.is_late end as is_late,
    coalesce(corrections.arrival_delay_minutes, flights.arrival_delay_minutes) as arrival_delay_minutes,
    coalesce(corrections.known_at, flights.outcome_known_at) as outcome_known_at
from flights
left join corrections
    on
        flights.flight_id = corrections.flight_id
        and corrections.fact = case when flights.outcome = 'arrived' then 'arrival' else 'cancellation' end
where
    flights.decision_at <= (select watermark_at from watermark)
    and flights.schedule_known_at <= flights.decision_at
