{%- do source('lake', 'costs') -%}
{{ config(materialized='view', access='protected') }}

with

ledger as (

    select *
    from read_json(
        '{{ home() }}/lake/costs/*.jsonl',
        format = 'newline_delimited',
        ignore_errors = true,
        columns = {
            'run': 'varchar',
            'job': 'varchar',
            'asset': 'varchar',
            'outcome': 'varchar',
            'began_at': 'timestamp',
            'wall_seconds': 'double',
            'cpu_seconds': 'double',
            'rows': 'bigint',
            'bytes': 'bigint'
        }
    )

)

-- A line is there twice while old files are being merged, and is no line at all while it is being written.
select distinct
    run,
    job,
    asset,
    outcome,
    began_at,
    wall_seconds,
    cpu_seconds,
    rows as rows_written,
    bytes as bytes_written
from ledger
where asset is not null
