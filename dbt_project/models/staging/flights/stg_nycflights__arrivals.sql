with

landed as (

    select * from {{ ref('base_nycflights__arrivals') }}

)

select
    {{ flight_id() }} as flight_id,
    arr_delay as arrival_delay_minutes,
    air_time as air_time_minutes,
    known_at,
    file_id
from landed
where quarantine_reason is null
