{# What is counted of a flight's life, in one place: the events, the accumulators and their contracts share these names. #}

{% macro flight_event_measures() -%}
    {{ return([
        'scheduled_flights', 'waiting_flights', 'waiting_since_minutes', 'long_waiting_flights', 'departures', 'delayed_departures', 'departure_delay_minutes',
        'outcomes', 'late_outcomes', 'arrivals', 'arrival_delay_minutes', 'en_route_delay_minutes', 'elapsed_minutes', 'cancellations',
    ]) }}
{%- endmacro %}


{% macro flight_event_keys() -%}
    flight_id,
        known_at,
        origin,
        carrier,
        destination,
        flight_number,
        departure_hour
{%- endmacro %}
