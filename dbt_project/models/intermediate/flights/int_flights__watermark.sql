{{ config(materialized='view') }}

{{ domain_watermark(ref('int_flights__intake')) }}
