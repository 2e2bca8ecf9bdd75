{{ config(unique_key=['carrier', 'destination', 'known_at']) }}
{{ traffic(
    keys=['carrier', 'destination'],
    measures=[
        'outcomes',
        'late_outcomes',
        'arrivals',
        'arrival_delay_minutes',
        'en_route_delay_minutes',
    ],
) }}
