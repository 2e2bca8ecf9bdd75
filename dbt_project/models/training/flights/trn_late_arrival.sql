{{ config(unique_key='flight_id') }}
{%- set changed_from = changed_from() %}

with

decisions as (

    -- Decisions that have fallen due, and those whose outcome has become known.
    select
        *,
        epoch(decision_at)::bigint // 60 as minutes_since_1970
    from {{ ref('int_flights__decisions') }}
    where decision_at >= {{ changed_from }} or outcome_known_at >= {{ changed_from }}

),

known as (

    {{ point_in_time_join(
        spine='decisions',
        decision_at='decision_at',
        features=[
            {
                'table': ref('ftr_flight__schedule'),
                'on': ['flight_id'],
                'columns': [
                    'departure_minute_of_day', 'departure_day_of_week', 'scheduled_block_minutes', 'distance_miles',
                    'origin_flights_within_30m', 'origin_carrier_flights_within_30m', 'destination_flights_within_60m',
                    'origin_flights_in_2h_before',
                ],
            },
            {
                'table': ref('ftr_origin__weather'),
                'on': ['origin'],
                'time_to_live': '6 hours',
                'columns': [
                    'temperature_fahrenheit', 'dew_point_fahrenheit', 'relative_humidity_percent', 'wind_direction_degrees', 'wind_speed_mph',
                    'wind_gust_mph', 'precipitation_inches', 'pressure_millibars', 'visibility_miles', 'temperature_change_3h_fahrenheit',
                    'wind_speed_change_3h_mph', 'pressure_change_3h_millibars', 'visibility_change_3h_miles',
                ],
            },
            {
                'table': ref('ftr_network__traffic'),
                'on': ['network'],
                'prefix': 'network_',
                'now': true,
                'windows': ['1 hour', '3 hours', '24 hours'],
                'columns': [
                    'waiting_flights', 'waiting_since_minutes', 'long_waiting_flights', 'departures',
                    'departure_delay_minutes', 'delayed_departures', 'outcomes', 'late_outcomes', 'arrivals',
                    'arrival_delay_minutes', 'en_route_delay_minutes', 'cancellations',
                ],
            },
            {
                'table': ref('ftr_origin__traffic'),
                'on': ['origin'],
                'prefix': 'origin_',
                'now': true,
                'windows': ['1 hour', '3 hours', '6 hours', '7 days', '28 days'],
                'columns': [
                    'waiting_flights', 'waiting_since_minutes', 'long_waiting_flights', 'departures',
                    'departure_delay_minutes', 'delayed_departures', 'outcomes', 'late_outcomes', 'arrivals',
                    'arrival_delay_minutes', 'en_route_delay_minutes',
                ],
            },
            {
                'table': ref('ftr_carrier__traffic'),
                'on': ['carrier'],
                'prefix': 'carrier_',
                'now': true,
                'windows': ['1 hour', '3 hours', '24 hours'],
                'columns': [
                    'waiting_flights', 'waiting_since_minutes', 'long_waiting_flights', 'departures',
                    'departure_delay_minutes', 'delayed_departures', 'outcomes', 'late_outcomes', 'arrivals',
                    'arrival_delay_minutes',
                ],
            },
            {
                'table': ref('ftr_origin_carrier__traffic'),
                'on': ['origin', 'carrier'],
                'prefix': 'origin_carrier_',
                'now': true,
                'windows': ['3 hours', '24 hours'],
                'columns': [
                    'waiting_flights', 'waiting_since_minutes', 'long_waiting_flights', 'departures',
                    'departure_delay_minutes', 'delayed_departures', 'outcomes', 'late_outcomes', 'arrivals',
                    'arrival_delay_minutes',
                ],
            },
            {
                'table': ref('ftr_destination__traffic'),
                'on': ['destination'],
                'prefix': 'destination_',
                'now': true,
                'windows': ['6 hours', '24 hours'],
                'columns': [
                    'waiting_flights', 'waiting_since_minutes', 'outcomes', 'late_outcomes', 'arrivals',
                    'arrival_delay_minutes', 'en_route_delay_minutes',
                ],
            },
            {
                'table': ref('ftr_carrier_destination__traffic'),
                'on': ['carrier', 'destination'],
                'prefix': 'carrier_destination_',
                'windows': ['24 hours'],
                'columns': [
                    'outcomes', 'late_outcomes', 'arrivals', 'arrival_delay_minutes', 'en_route_delay_minutes',
                ],
            },
            {
                'table': ref('ftr_slot__traffic'),
                'on': ['carrier', 'origin', 'destination', 'departure_hour'],
                'prefix': 'slot_',
                'windows': ['28 days'],
                'columns': [
                    'outcomes', 'late_outcomes', 'arrivals', 'arrival_delay_minutes', 'elapsed_minutes',
                ],
            },
            {
                'table': ref('ftr_flight_number__traffic'),
                'on': ['carrier', 'flight_number', 'origin'],
                'prefix': 'flight_number_',
                'windows': ['28 days'],
                'columns': [
                    'outcomes', 'late_outcomes', 'arrivals', 'arrival_delay_minutes',
                ],
            },
        ],
    ) }}

)

select
    flight_id,
    decision_at,
    flight_date,
    carrier,
    origin,
    destination,
    departure_minute_of_day,
    departure_day_of_week,
    scheduled_block_minutes,
    distance_miles,
    origin_flights_within_30m,
    origin_carrier_flights_within_30m,
    destination_flights_within_60m,
    origin_flights_in_2h_before,
    temperature_fahrenheit,
    dew_point_fahrenheit,
    relative_humidity_percent,
    wind_direction_degrees,
    wind_speed_mph,
    wind_gust_mph,
    precipitation_inches,
    pressure_millibars,
    visibility_miles,
    temperature_change_3h_fahrenheit,
    wind_speed_change_3h_mph,
    pressure_change_3h_millibars,
    visibility_change_3h_miles,
    network_waiting_flights,
    network_waiting_flights * minutes_since_1970 - network_waiting_since_minutes as network_waited_minutes,
    network_long_waiting_flights,
    network_long_waiting_flights_1h as network_long_waiting_flights_change_1h,
    network_long_waiting_flights_3h as network_long_waiting_flights_change_3h,
    {{ share('network_delayed_departures_1h', 'network_departures_1h') }} as network_delayed_share_1h,
    {{ share('network_late_outcomes_3h', 'network_outcomes_3h') }} as network_late_share_3h,
    {{ share('network_en_route_delay_minutes_3h', 'network_arrivals_3h') }} as network_en_route_delay_3h_minutes,
    {{ share('network_departure_delay_minutes_24h', 'network_departures_24h') }} as network_departure_delay_24h_minutes,
    {{ share('network_arrival_delay_minutes_24h', 'network_arrivals_24h') }} as network_arrival_delay_24h_minutes,
    {{ share('network_cancellations_24h', 'network_outcomes_24h') }} as network_cancelled_share_24h,
    origin_waiting_flights,
    origin_waiting_flights * minutes_since_1970 - origin_waiting_since_minutes as origin_waited_minutes,
    origin_long_waiting_flights,
    origin_long_waiting_flights_3h as origin_long_waiting_flights_change_3h,
    {{ share('origin_delayed_departures_1h', 'origin_departures_1h') }} as origin_delayed_share_1h,
    {{ share('origin_delayed_departures_3h', 'origin_departures_3h') }} as origin_delayed_share_3h,
    {{ share('origin_departure_delay_minutes_3h', 'origin_departures_3h') }} as origin_departure_delay_3h_minutes,
    {{ share('origin_en_route_delay_minutes_6h', 'origin_arrivals_6h') }} as origin_en_route_delay_6h_minutes,
    {{ share('origin_arrival_delay_minutes_7d', 'origin_arrivals_7d') }} as origin_arrival_delay_7d_minutes,
    {{ share('origin_late_outcomes_28d', 'origin_outcomes_28d') }} as origin_late_share_28d,
    carrier_waiting_flights,
    carrier_waiting_flights * minutes_since_1970 - carrier_waiting_since_minutes as carrier_waited_minutes,
    carrier_long_waiting_flights,
    {{ share('carrier_delayed_departures_3h', 'carrier_departures_3h') }} as carrier_delayed_share_3h,
    {{ share('carrier_departure_delay_minutes_1h', 'carrier_departures_1h') }} as carrier_departure_delay_1h_minutes,
    {{ share('carrier_departure_delay_minutes_3h', 'carrier_departures_3h') }} as carrier_departure_delay_3h_minutes,
    {{ share('carrier_arrival_delay_minutes_24h', 'carrier_arrivals_24h') }} as carrier_arrival_delay_24h_minutes,
    origin_carrier_waiting_flights,
    origin_carrier_waiting_flights * minutes_since_1970 - origin_carrier_waiting_since_minutes as origin_carrier_waited_minutes,
    origin_carrier_long_waiting_flights,
    {{ share('origin_carrier_delayed_departures_3h', 'origin_carrier_departures_3h') }} as origin_carrier_delayed_share_3h,
    {{ share('origin_carrier_departure_delay_minutes_3h', 'origin_carrier_departures_3h') }} as origin_carrier_departure_delay_3h_minutes,
    {{ share('origin_carrier_arrival_delay_minutes_24h', 'origin_carrier_arrivals_24h') }} as origin_carrier_arrival_delay_24h_minutes,
    destination_waiting_flights,
    destination_waiting_flights * minutes_since_1970 - destination_waiting_since_minutes as destination_waited_minutes,
    {{ share('destination_en_route_delay_minutes_6h', 'destination_arrivals_6h') }} as destination_en_route_delay_6h_minutes,
    {{ share('destination_en_route_delay_minutes_24h', 'destination_arrivals_24h') }} as destination_en_route_delay_24h_minutes,
    {{ share('destination_arrival_delay_minutes_24h', 'destination_arrivals_24h') }} as destination_arrival_delay_24h_minutes,
    {{ share('carrier_destination_en_route_delay_minutes_24h', 'carrier_destination_arrivals_24h') }} as carrier_destination_en_route_delay_24h_minutes,
    {{ share('carrier_destination_arrival_delay_minutes_24h', 'carrier_destination_arrivals_24h') }} as carrier_destination_arrival_delay_24h_minutes,
    {{ share('slot_late_outcomes_28d', 'slot_outcomes_28d') }} as slot_late_share_28d,
    {{ share('slot_arrival_delay_minutes_28d', 'slot_arrivals_28d') }} as slot_arrival_delay_28d_minutes,
    scheduled_block_minutes - {{ share('slot_elapsed_minutes_28d', 'slot_arrivals_28d') }} as slot_slack_28d_minutes,
    {{ share('flight_number_late_outcomes_28d', 'flight_number_outcomes_28d') }} as flight_number_late_share_28d,
    {{ share('flight_number_arrival_delay_minutes_28d', 'flight_number_arrivals_28d') }} as flight_number_arrival_delay_28d_minutes,
    is_late,
    arrival_delay_minutes,
    outcome_known_at
from known
