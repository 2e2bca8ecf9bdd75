with

landed as (

    {{ landed_facts(ref('base_nycflights__airlines')) }}

)

select
    carrier,
    name as carrier_name,
    file_id
from landed
