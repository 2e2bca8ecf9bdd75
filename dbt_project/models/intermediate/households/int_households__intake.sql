{{ config(materialized='incremental', incremental_strategy='append') }}

{{ domain_intake([
    ref('base_completejourney__transactions'),
    ref('base_completejourney__demographics'),
    ref('base_completejourney__products'),
]) }}
