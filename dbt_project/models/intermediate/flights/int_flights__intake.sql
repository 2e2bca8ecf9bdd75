{{ config(materialized='incremental', incremental_strategy='append') }}

{{ domain_intake([
    ref('base_nycflights__schedules'),
    ref('base_nycflights__departures'),
    ref('base_nycflights__arrivals'),
    ref('base_nycflights__cancellations'),
    ref('base_nycflights__weather'),
    ref('base_nycflights__airlines'),
    ref('base_nycflights__airports'),
    ref('base_nycflights__planes'),
]) }}
