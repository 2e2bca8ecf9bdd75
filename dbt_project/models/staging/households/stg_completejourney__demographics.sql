with

landed as (

    {{ landed_facts(ref('base_completejourney__demographics')) }}

)

select
    household_id,
    age as age_range,
    income as income_range,
    home_ownership,
    marital_status,
    household_size,
    household_comp as household_composition,
    kids_count as child_count,
    file_id
from landed
