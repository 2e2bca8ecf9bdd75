with

landed as (

    {{ landed_facts(ref('base_nycflights__departures')) }}

)

select
    {{ flight_id() }} as flight_id,
    tailnum as tail_number,
    dep_delay as departure_delay_minutes,
    known_at,
    is_late,
    row_version,
    file_id
from landed
