with

landed as (

    select * from {{ ref('base_nycflights__airlines') }}

)

select
    carrier,
    name as carrier_name,
    file_id
from landed
where quarantine_reason is null
