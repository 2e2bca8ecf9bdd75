with

decisions as (

    select * from {{ ref('int_households__decisions') }}

)

select
    household_id,
    decision_date,
    decision_at
from decisions
