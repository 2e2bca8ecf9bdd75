with

airports as (

    select * from {{ ref('int_airports') }}

)

select * exclude (known_at)
from airports
qualify row_number() over (partition by airport order by known_at desc) = 1
