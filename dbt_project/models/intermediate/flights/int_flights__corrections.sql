with

departures as (

    select * from {{ ref('stg_nycflights__departures') }}

),

arrivals as (

    select * from {{ ref('stg_nycflights__arrivals') }}

),

cancellations as (

    select * from {{ ref('stg_nycflights__cancellations') }}

),

versions as (

    select
        'departure' as fact,
        flight_id,
        row_version,
        known_at,
        departure_delay_minutes,
        null as arrival_delay_minutes,
        null as status
    from departures
    where flight_id in (select corrected.flight_id from departures as corrected where corrected.row_version > 1)

    union all

    select
        'arrival' as fact,
        flight_id,
        row_version,
        known_at,
        null as departure_delay_minutes,
        arrival_delay_minutes,
        'arrived' as status
    from arrivals
    where flight_id in (select corrected.flight_id from arrivals as corrected where corrected.row_version > 1)

    union all

    select
        'cancellation' as fact,
        flight_id,
        row_version,
        known_at,
        null as departure_delay_minutes,
        null as arrival_delay_minutes,
        status
    from cancellations
    where flight_id in (select corrected.flight_id from cancellations as corrected where corrected.row_version > 1)

),

compared as (

    select
        *,
        lag(departure_delay_minutes) over (partition by fact, flight_id order by row_version) as earlier_departure_delay_minutes,
        lag(arrival_delay_minutes) over (partition by fact, flight_id order by row_version) as earlier_arrival_delay_minutes,
        lag(status) over (partition by fact, flight_id order by row_version) as earlier_status,
        lead(row_version) over (partition by fact, flight_id order by row_version) is null as is_newest
    from versions

)

select * from compared
where row_version > 1
