with

files as (

    select * from {{ ref('stg_landing__files') }}

),

intake as (

    select * from {{ ref('int_flights__intake') }}

),

watermark as (

    select * from {{ ref('int_flights__watermark') }}

),

file_counts as (

    select
        table_name,
        count(*) filter (where status = 'accepted') as accepted_files,
        count(*) filter (where status = 'duplicate') as duplicate_files,
        count(*) filter (where status = 'rejected') as rejected_files
    from files
    group by table_name

),

row_counts as (

    select
        table_name,
        sum(landed_rows)::bigint as landed_rows,
        sum(staged_rows)::bigint as staged_rows,
        sum(quarantined_rows)::bigint as quarantined_rows,
        max(last_reported_at) as last_known_at
    from intake
    group by table_name

)

select
    file_counts.table_name,
    file_counts.accepted_files,
    file_counts.duplicate_files,
    file_counts.rejected_files,
    coalesce(row_counts.landed_rows, 0) as landed_rows,
    coalesce(row_counts.staged_rows, 0) as staged_rows,
    coalesce(row_counts.quarantined_rows, 0) as quarantined_rows,
    row_counts.last_known_at,
    date_diff('minute', row_counts.last_known_at, watermark.watermark_at) as minutes_behind_watermark
from file_counts
left join row_counts on file_counts.table_name = row_counts.table_name
cross join watermark
