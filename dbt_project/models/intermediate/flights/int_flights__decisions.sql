{{ config(materialized='view') }}

with

flights as (

    select * from {{ ref('int_flights__timeline') }}

),

watermark as (

    select * from {{ ref('int_flights__watermark') }}

)

select
    flight_id,
    decision_at,
    flight_date,
    carrier,
    flight_number,
    origin,
    destination,
    departure_hour,
    'all' as network,
    is_late,
    arrival_delay_minutes,
    outcome_known_at
from flights
where
    decision_at <= (select watermark_at from watermark)
    and schedule_known_at <= decision_at
