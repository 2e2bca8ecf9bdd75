with

landed as (

    select * from {{ ref('base_nycflights__departures') }}

)

select
    {{ flight_id() }} as flight_id,
    tailnum as tail_number,
    dep_delay as departure_delay_minutes,
    known_at,
    file_id
from landed
where quarantine_reason is null
