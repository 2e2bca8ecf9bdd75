{{ config(unique_key=['carrier', 'origin', 'destination', 'departure_hour', 'known_at']) }}
{{ traffic(
    keys=['carrier', 'origin', 'destination', 'departure_hour'],
    measures=[
        'outcomes',
        'late_outcomes',
        'arrivals',
        'arrival_delay_minutes',
        'elapsed_minutes',
    ],
) }}
