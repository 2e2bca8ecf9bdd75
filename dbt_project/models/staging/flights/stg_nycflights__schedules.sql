with

landed as (

    {{ landed_facts(ref('base_nycflights__schedules')) }}

)

select
    {{ flight_id() }} as flight_id,
    flight_date,
    carrier,
    flight as flight_number,
    origin,
    dest as destination,
    time_hour + to_minutes(sched_dep_time % 100) as scheduled_departure_at,
    sched_arr_time as scheduled_arrival_hhmm,
    distance as distance_miles,
    known_at,
    is_late,
    file_id
from landed
