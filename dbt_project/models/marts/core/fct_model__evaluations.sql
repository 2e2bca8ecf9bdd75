with

evaluations as (

    select * from {{ ref('stg_lake__evaluations') }}

)

select
    model,
    version,
    as_of,
    subject,
    slice_name,
    slice_value,
    metric,
    value,
    low,
    high,
    rows
from evaluations
