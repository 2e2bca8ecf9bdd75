{{ config(unique_key=['carrier', 'flight_number', 'origin', 'known_at']) }}
{{ traffic(
    keys=['carrier', 'flight_number', 'origin'],
    measures=[
        'outcomes',
        'late_outcomes',
        'arrivals',
        'arrival_delay_minutes',
    ],
) }}
