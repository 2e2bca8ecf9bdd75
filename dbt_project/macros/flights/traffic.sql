{# How the traffic went for one kind of entity: what became known of flights, added up (accumulate). The ftr_<entity>__traffic models differ in nothing but their keys and measures. #}

{% macro traffic(measures, keys=none, constant_key=none) -%}
{#- `constant_key`: one entity for all flights; the key is then that column, always 'all'. -#}
{%- set changed_from = changed_from() -%}
with

events as (

    select
        {{ "'all' as " ~ constant_key if constant_key else keys | join(',\n        ') }},
        known_at,
        {{ measures | join(',\n        ') }}
    from {{ ref('int_flights__events') }}
    where
        known_at >= {{ changed_from }}
        and ({{ measures | join(' != 0 or ') }} != 0)

),

accumulated as (

    {{ accumulate('events', keys=[constant_key] if constant_key else keys, measures=measures, changed_from=changed_from) }}

)

select * from accumulated
{%- endmacro %}
