with

airlines as (

    select * from {{ ref('stg_nycflights__airlines') }}

)

select
    carrier,
    carrier_name
from airlines
qualify row_number() over (partition by carrier order by file_id desc) = 1
