with

planes as (

    select * from {{ ref('stg_nycflights__planes') }}

)

select * exclude (file_id)
from planes
qualify row_number() over (partition by tail_number order by file_id desc) = 1
