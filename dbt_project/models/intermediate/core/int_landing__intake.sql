{{ config(materialized='incremental', incremental_strategy='append') }}

with

rows_read as (

    {% for table in var('landing_tables') -%}
    select
        file_id,
        known_at,
        quarantine_reason
    from {{ ref('base_nycflights__' ~ table) }}
    {% if is_incremental() %}where file_id > (select coalesce(max(file_id), 0) from {{ this }}){% endif %}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        file_id,
        count(*) filter (where quarantine_reason is null) as staged_rows,
        count(*) filter (where quarantine_reason is not null) as quarantined_rows,
        min(known_at) filter (where quarantine_reason is null) as first_known_at,
        max(known_at) filter (where quarantine_reason is null) as last_known_at
    from rows_read
    group by file_id

),

files as (

    select * from {{ ref('stg_landing__files') }}
    where
        status = 'accepted'
        {% if is_incremental() %}and file_id > (select coalesce(max(file_id), 0) from {{ this }}){% endif %}

),

first_unread as (

    -- Its rows have not been read yet: someone built the door without what stands behind it. It and what follows wait for the next build.
    select min(file_id) as file_id
    from files
    where data_lines > 0 and file_id not in (select file_id from counted)

)

select
    files.file_id,
    files.table_name,
    files.data_lines as landed_rows,
    coalesce(counted.staged_rows, 0) as staged_rows,
    coalesce(counted.quarantined_rows, 0) as quarantined_rows,
    counted.first_known_at,
    counted.last_known_at
from files
left join counted on files.file_id = counted.file_id
where files.file_id < (select coalesce(file_id, 9223372036854775807) from first_unread)
