{{ config(materialized='view') }}

{% for table in var('landing_tables') -%}
select
    '{{ table }}' as table_name,
    file_id,
    line_number,
    quarantine_reason,
    quarantined_line
from {{ ref('base_nycflights__' ~ table) }}
where quarantine_reason is not null
{{ 'union all' if not loop.last }}
{% endfor %}
