with

landed as (

    {{ landed_facts(ref('base_nycflights__planes')) }}

)

select
    tailnum as tail_number,
    year as built_year,
    type as aircraft_type,
    manufacturer,
    model as aircraft_model,
    engines as engine_count,
    seats as seat_count,
    engine as engine_kind,
    file_id
from landed
