{{ config(unique_key=['origin', 'known_at']) }}
{%- set changed_from = changed_from() %}

with

weather as (

    select * from {{ ref('stg_nycflights__weather') }}

),

newest as (

    -- A report of an hour before one that was known already tells nothing of now. Of reports that became known together the newest counts, as it was last corrected.
    select * from weather
    qualify
        observed_hour_at = max(observed_hour_at) over (partition by origin order by known_at)
        and row_number() over (partition by origin, known_at order by observed_hour_at desc, row_version desc) = 1

),

changes as (

    -- Against the report of three hours before, where there was one by then: hours are missing, or come late.
    select
        latest.origin,
        latest.known_at,
        latest.observed_hour_at,
        latest.temperature_fahrenheit,
        latest.dew_point_fahrenheit,
        latest.relative_humidity_percent,
        latest.wind_direction_degrees,
        latest.wind_speed_mph,
        latest.wind_gust_mph,
        latest.precipitation_inches,
        latest.pressure_millibars,
        latest.visibility_miles,
        latest.temperature_fahrenheit - earlier.temperature_fahrenheit as temperature_change_3h_fahrenheit,
        latest.wind_speed_mph - earlier.wind_speed_mph as wind_speed_change_3h_mph,
        latest.pressure_millibars - earlier.pressure_millibars as pressure_change_3h_millibars,
        latest.visibility_miles - earlier.visibility_miles as visibility_change_3h_miles
    from newest as latest
    left join weather as earlier
        on
            latest.origin = earlier.origin
            and latest.observed_hour_at = earlier.observed_hour_at + interval 3 hour
            and latest.known_at >= earlier.known_at
    where latest.known_at >= {{ changed_from }}
    -- The earlier report as it had last been corrected by then.
    qualify row_number() over (partition by latest.origin, latest.known_at order by earlier.row_version desc) = 1

)

select * from changes
