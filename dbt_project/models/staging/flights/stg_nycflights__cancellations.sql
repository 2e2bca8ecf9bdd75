with

landed as (

    select * from {{ ref('base_nycflights__cancellations') }}

)

select
    {{ flight_id() }} as flight_id,
    status,
    known_at,
    file_id
from landed
where quarantine_reason is null
