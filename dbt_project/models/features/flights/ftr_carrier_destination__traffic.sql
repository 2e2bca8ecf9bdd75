{{ config(unique_key=['carrier', 'destination', 'known_at']) }}
{%- set changed_from = changed_from() %}
{%- set measures = [
    'outcomes',
    'late_outcomes',
    'arrivals',
    'arrival_delay_minutes',
    'en_route_delay_minutes',
] %}

with

events as (

    select
        carrier,
        destination,
        known_at,
        {{ measures | join(',\n        ') }}
    from {{ ref('int_flights__events') }}
    where
        known_at >= {{ changed_from }}
        and ({{ measures | join(' != 0 or ') }} != 0)

),

accumulated as (

    {{ accumulate('events', keys=['carrier', 'destination'], measures=measures, changed_from=changed_from) }}

)

select * from accumulated
