{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='source_file') }}
{%- do source('lake', 'predictions') %}

with

written as (

    {{ lake_files(
        'predictions/*/*.parquet',
        reader='read_parquet',
        unseen_only=true,
        columns={
            'model': 'varchar',
            'decision_key': 'varchar',
            'decision_at': 'timestamp',
            'model_version': 'integer',
            'model_sha256': 'varchar',
            'prediction': 'double',
            'prediction_status': 'varchar',
            'status_reason': 'varchar',
            'scored_as_of': 'timestamp',
        },
    ) }}

),

files as (

    select
        parse_path(filename)[-2] || '/' || parse_filename(filename) as source_file,
        last_modified as source_modified_at
    from read_blob('{{ home() }}/lake/predictions/*/*.parquet')

)

select
    written.*,
    files.source_modified_at
from written
inner join files on written.source_file = files.source_file
