with

landed as (

    {{ landed_facts(ref('base_nycflights__cancellations')) }}

)

select
    {{ flight_id() }} as flight_id,
    status,
    known_at,
    is_late,
    row_version,
    file_id
from landed
