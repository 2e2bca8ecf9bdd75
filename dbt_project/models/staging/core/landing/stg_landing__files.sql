{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='file_id') }}
{%- do look_at_landing() %}

with

written as (

    {{ landing_log_lines() }}

),

withdrawn as (

    select
        file_id,
        reason
    from written
    where kind = 'withdrawn'

),

verdicts as (

    select * from written
    where kind = 'verdict'

)

select
    verdicts.file_id,
    verdicts.batch as batch_id,
    verdicts.feed,
    verdicts.table_name,
    verdicts.path,
    verdicts.bytes,
    verdicts.modified_at,
    verdicts.arrived_at,
    verdicts.sha256,
    verdicts.data_lines,
    case when withdrawn.file_id is not null then 'withdrawn' else verdicts.status end as status,
    coalesce(withdrawn.reason, verdicts.reason) as reason
from verdicts
left join withdrawn on verdicts.file_id = withdrawn.file_id
{% if is_incremental() -%}
where
    verdicts.file_id > (select coalesce(max(file_id), 0) from {{ this }})
    or withdrawn.file_id in (select file_id from {{ this }} where status = 'accepted')
{%- endif %}
