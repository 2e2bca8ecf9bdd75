{{ config(materialized='incremental', incremental_strategy='append') }}

{{ landed_rows('completejourney', 'demographics') }}
