with

landed as (

    {{ landed_facts(ref('base_nycflights__airports')) }}

)

select
    faa as airport,
    name as airport_name,
    lat as latitude_degrees,
    lon as longitude_degrees,
    alt as altitude_feet,
    tzone as time_zone,
    known_at,
    file_id
from landed
