{{ config(unique_key=['network', 'known_at']) }}
{{ traffic(
    constant_key='network',
    measures=[
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
        'en_route_delay_minutes',
        'cancellations',
    ],
) }}
