with

landed as (

    select * from {{ ref('stg_nycflights__airports') }}

),

overrides as (

    select * from {{ ref('airport_overrides') }}

),

latest as (

    select * from landed
    qualify row_number() over (partition by airport order by file_id desc) = 1

)

select
    airport,
    airport_name,
    latitude_degrees,
    longitude_degrees,
    altitude_feet,
    time_zone
from latest
where airport not in (select airport from overrides)

union all

select
    airport,
    airport_name,
    latitude_degrees,
    longitude_degrees,
    altitude_feet,
    time_zone
from overrides
