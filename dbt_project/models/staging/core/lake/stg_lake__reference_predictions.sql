{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='source_file') }}
{%- do source('lake', 'reference_predictions') %}

with

written as (

    {{ lake_files(
        'reference_predictions/*/*.parquet',
        reader='read_parquet',
        unseen_only=true,
        columns={
            'model': 'varchar',
            'version': 'integer',
            'prediction': 'double',
            'row_count': 'bigint',
        },
    ) }}

),

files as (

    select
        parse_path(filename)[-2] || '/' || parse_filename(filename) as source_file,
        last_modified as source_modified_at
    from read_blob('{{ home() }}/lake/reference_predictions/*/*.parquet')

)

select
    written.*,
    files.source_modified_at
from written
inner join files on written.source_file = files.source_file
