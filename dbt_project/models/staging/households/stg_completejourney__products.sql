with

landed as (

    {{ landed_facts(ref('base_completejourney__products')) }}

)

select
    product_id,
    manufacturer_id,
    department,
    brand,
    product_category,
    product_type,
    package_size,
    file_id
from landed
