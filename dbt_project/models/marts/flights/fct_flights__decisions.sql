with

decisions as (

    select * from {{ ref('int_flights__decisions') }}

)

select
    flight_id,
    decision_at,
    carrier,
    origin,
    destination
from decisions
