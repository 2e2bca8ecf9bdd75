{{ config(materialized='view') }}

with

intake as (

    select * from {{ ref('int_landing__intake') }}

)

select max(last_known_at) as watermark_at
from intake
