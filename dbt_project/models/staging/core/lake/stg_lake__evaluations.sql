{%- do source('lake', 'evaluations') -%}
{{ config(materialized='table') }}

with

written as (

    {{ lake_files(
        'evaluations/*/*.parquet',
        reader='read_parquet',
        columns={
            'model': 'varchar',
            'version': 'integer',
            'as_of': 'timestamp',
            'subject': 'varchar',
            'slice_name': 'varchar',
            'slice_value': 'varchar',
            'metric': 'varchar',
            'value': 'double',
            'low': 'double',
            'high': 'double',
            'rows': 'bigint',
        },
    ) }}

)

select * from written
