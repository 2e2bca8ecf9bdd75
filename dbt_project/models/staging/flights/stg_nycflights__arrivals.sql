with

landed as (

    {{ landed_facts(ref('base_nycflights__arrivals')) }}

)

select
    {{ flight_id() }} as flight_id,
    arr_delay as arrival_delay_minutes,
    air_time as air_time_minutes,
    known_at,
    is_late,
    row_version,
    file_id
from landed
