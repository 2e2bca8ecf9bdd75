with

decisions as (

    select * from {{ ref('stg_lake__decisions') }}

)

-- The wall clock stays in the log: what is published says the same whenever it is built.
select
    sequence,
    model,
    kind,
    verdict,
    version,
    previous_version,
    as_of,
    cast(reasons as varchar) as reasons
from decisions
