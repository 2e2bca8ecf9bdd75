{{ config(unique_key=['carrier', 'known_at']) }}
{{ traffic(
    keys=['carrier'],
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
    ],
) }}
