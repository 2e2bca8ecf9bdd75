with

landed as (

    select * from {{ ref('stg_nycflights__airports') }}

),

overrides as (

    select * from {{ ref('airport_overrides') }}

),

versions as (

    -- Of the files that became known at one moment the last one counts.
    select * from landed
    qualify row_number() over (partition by airport, known_at order by file_id desc) = 1

)

select
    airport,
    airport_name,
    latitude_degrees,
    longitude_degrees,
    altitude_feet,
    time_zone,
    coalesce(known_at, timestamp '1900-01-01') as known_at
from versions
where airport not in (select airport from overrides)

union all

select
    airport,
    airport_name,
    latitude_degrees,
    longitude_degrees,
    altitude_feet,
    time_zone,
    timestamp '1900-01-01' as known_at
from overrides
