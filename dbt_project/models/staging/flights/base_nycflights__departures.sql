{{ config(materialized='incremental', incremental_strategy='append') }}

{{ landed_rows('nycflights13', 'departures', key=['flight_date', 'carrier', 'flight', 'origin']) }}
