{%- do source('lake', 'decisions') -%}
{{ config(materialized='table') }}

with

written as (

    {{ lake_files(
        'decisions.jsonl',
        reader='read_json',
        columns={
            'sequence': 'bigint',
            'decided_at': 'timestamp',
            'as_of': 'timestamp',
            'model': 'varchar',
            'kind': 'varchar',
            'verdict': 'varchar',
            'version': 'integer',
            'previous_version': 'integer',
            'reasons': 'json',
            'evidence': 'json',
        },
    ) }}

)

select * exclude (source_file) from written
