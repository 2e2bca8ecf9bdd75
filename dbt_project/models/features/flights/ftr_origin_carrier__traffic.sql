{{ config(unique_key=['origin', 'carrier', 'known_at']) }}
{%- set changed_from = changed_from() %}
{%- set measures = [
    'waiting_flights',
    'waiting_since_minutes',
    'long_waiting_flights',
    'departures',
    'departure_delay_minutes',
    'delayed_departures',
    'outcomes',
    'late_outcomes',
    'arrivals',
    'arrival_delay_minutes',
] %}

with

events as (

    select
        origin,
        carrier,
        known_at,
        {{ measures | join(',\n        ') }}
    from {{ ref('int_flights__events') }}
    where
        known_at >= {{ changed_from }}
        and ({{ measures | join(' != 0 or ') }} != 0)

),

accumulated as (

    {{ accumulate('events', keys=['origin', 'carrier'], measures=measures, changed_from=changed_from) }}

)

select * from accumulated
