with

landed as (

    {{ landed_facts(ref('base_completejourney__transactions')) }}

)

select
    household_id,
    basket_id,
    product_id,
    store_id,
    quantity,
    -- Whole cents: their sums do not depend on the order of addition.
    round(sales_value * 100)::bigint as spend_cents,
    round((retail_disc + coupon_disc + coupon_match_disc) * 100)::bigint as discount_cents,
    transaction_timestamp as purchased_at,
    known_at,
    is_late,
    row_version,
    file_id
from landed
