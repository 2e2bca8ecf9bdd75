with

landed as (

    {{ landed_facts(ref('base_nycflights__weather')) }}

)

select
    origin,
    time_hour as observed_hour_at,
    temp as temperature_fahrenheit,
    dewp as dew_point_fahrenheit,
    humid as relative_humidity_percent,
    wind_dir as wind_direction_degrees,
    -- No wind on record at these airports comes near this; 1,048 mph is a typo: the value goes, the row stays.
    case when wind_speed <= {{ var('highest_wind_mph', 200) }} then wind_speed end as wind_speed_mph,
    case when wind_gust <= {{ var('highest_wind_mph', 200) }} then wind_gust end as wind_gust_mph,
    precip as precipitation_inches,
    pressure as pressure_millibars,
    visib as visibility_miles,
    known_at,
    is_late,
    row_version,
    file_id
from landed
