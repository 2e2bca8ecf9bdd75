with

products as (

    select * from {{ ref('stg_completejourney__products') }}

)

select * exclude (file_id)
from products
qualify row_number() over (partition by product_id order by file_id desc) = 1
