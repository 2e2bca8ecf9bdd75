{# What came in of each landing table of a domain, and how far each lags behind the domain's newest fact. #}

{% macro domain_data_health() -%}
{%- set tables = [] -%}
{%- for source in landing_sources().values() if domain_of(source) == domain_of(model) -%}
    {%- do tables.append("('" ~ source.source_name ~ "', '" ~ source.name ~ "')") -%}
{%- endfor -%}
with

declared as (

    select *
    from (values {{ tables | sort | join(', ') or "(null::varchar, null::varchar)" }}) as tables (source_name, table_name)
    where source_name is not null

),

files as (

    select * from {{ ref('stg_landing__files') }}

),

intake as (

    select * from {{ domain_table('int', 'intake') }}

),

watermark as (

    select * from {{ domain_table('int', 'watermark') }}

),

file_counts as (

    select
        feed as source_name,
        table_name,
        count(*) filter (where status = 'accepted') as accepted_files,
        count(*) filter (where status = 'duplicate') as duplicate_files,
        count(*) filter (where status = 'rejected') as rejected_files
    from files
    group by feed, table_name

),

row_counts as (

    select
        source_name,
        table_name,
        sum(landed_rows)::bigint as landed_rows,
        sum(staged_rows)::bigint as staged_rows,
        sum(quarantined_rows)::bigint as quarantined_rows,
        sum(late_rows)::bigint as late_rows,
        sum(corrected_rows)::bigint as corrected_rows,
        max(last_reported_at) as last_known_at
    from intake
    group by source_name, table_name

)

select
    declared.source_name,
    declared.table_name,
    coalesce(file_counts.accepted_files, 0) as accepted_files,
    coalesce(file_counts.duplicate_files, 0) as duplicate_files,
    coalesce(file_counts.rejected_files, 0) as rejected_files,
    coalesce(row_counts.landed_rows, 0) as landed_rows,
    coalesce(row_counts.staged_rows, 0) as staged_rows,
    coalesce(row_counts.quarantined_rows, 0) as quarantined_rows,
    coalesce(row_counts.late_rows, 0) as late_rows,
    coalesce(row_counts.corrected_rows, 0) as corrected_rows,
    row_counts.last_known_at,
    date_diff('minute', row_counts.last_known_at, watermark.watermark_at) as minutes_behind_watermark
from declared
left join file_counts on declared.source_name = file_counts.source_name and declared.table_name = file_counts.table_name
left join row_counts on declared.source_name = row_counts.source_name and declared.table_name = row_counts.table_name
cross join watermark
{%- endmacro %}
