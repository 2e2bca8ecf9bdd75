{{ config(unique_key=['destination', 'known_at']) }}
{{ traffic(
    keys=['destination'],
    measures=[
        'waiting_flights',
        'waiting_since_minutes',
        'outcomes',
        'late_outcomes',
        'arrivals',
        'arrival_delay_minutes',
        'en_route_delay_minutes',
    ],
) }}
