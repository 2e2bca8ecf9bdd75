{# What a domain's own models have written to the lake. Other domains' files are not opened: a broken one is theirs alone. #}

{% macro domain_lake_files(table, columns) -%}
{#- Rows of the lake's files `<table>/<model>/<file>.parquet` of the domain's models, each file read again only when it was replaced. -#}
{{- config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='source_file',
    pre_hook="{{ forget_other_models() }}"
) -}}
{%- do source('lake_' ~ domain_of(model), table) -%}
{%- set pattern = table ~ '/*/*.parquet' -%}
with

written as (

    {{ lake_files(
        pattern,
        reader='read_parquet',
        columns=columns,
        unseen_only=true,
        models=declared_models() | map(attribute='name') | list,
    ) }}

),

files as (

    select
        parse_path(filename)[-2] || '/' || parse_filename(filename) as source_file,
        last_modified as source_modified_at
    from read_blob('{{ home() }}/lake/{{ pattern }}')

)

select
    written.*,
    files.source_modified_at
from written
inner join files on written.source_file = files.source_file
{%- endmacro %}


{% macro domain_lake_predictions() -%}
{{ domain_lake_files(
    'predictions',
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
{%- endmacro %}


{% macro domain_lake_reference_predictions() -%}
{{ domain_lake_files(
    'reference_predictions',
    columns={
        'model': 'varchar',
        'version': 'integer',
        'prediction': 'double',
        'row_count': 'bigint',
    },
) }}
{%- endmacro %}


{% macro forget_other_models() -%}
    {#- Rows of models that the domain does not declare any more: a table built anew would not have them either. -#}
    {%- if is_incremental() -%}
        delete from {{ this }} where model not in (select unnest({{ sql_list(declared_models() | map(attribute='name') | list) }}::varchar[]))
    {%- endif -%}
{%- endmacro %}
