{{ config(materialized='view') }}

{{ domain_watermark(ref('int_households__intake')) }}
