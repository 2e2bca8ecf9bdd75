{# What an earlier row says about a later one: a repeat, a correction, or a time that none of the others comes near. CTEs of landed_rows. #}

{% macro far_off_times(known_at, furthest) -%}
{#- `judged` with the rows set aside whose time lies further than `furthest` beyond nearly all others of their table: the latest 1 % of all rows up to and with their
    batch, or the later half while there are fewer than 100. Asked of whole batches and of what came before, so that a full refresh finds what the increments found. -#}
{% if not known_at or furthest | string | lower == 'none' -%}
checked as (

    select * from judged

),
{%- else -%}
days as (

    select
        batch_id,
        {{ known_at }}::date as day,
        count(*) as row_count
    from judged
    where year({{ known_at }}) between 1900 and 2200
    group by all
    {% if is_incremental() -%}
    union all
    select
        0 as batch_id,
        known_at::date as day,
        count(*) as row_count
    from {{ this }}
    where year(known_at) between 1900 and 2200
    group by all
    {%- endif %}

),

reached as (

    -- Per batch and day, how many of the rows up to that batch were not later than that day.
    select
        batches.batch_id,
        days.day,
        sum(sum(days.row_count)) over (partition by batches.batch_id order by days.day) as rows_until,
        sum(sum(days.row_count)) over (partition by batches.batch_id) as row_count
    from (select distinct batch_id from judged) as batches
    inner join days on days.batch_id <= batches.batch_id
    group by batches.batch_id, days.day

),

limits as (

    select
        batch_id,
        min(day) + interval '{{ furthest }}' as latest
    from reached
    where rows_until >= row_count * case when row_count < 100 then 0.5 else 0.99 end
    group by batch_id

),

checked as (

    select
        judged.* replace (
            case
                when judged.problem is null and judged.{{ known_at }} > limits.latest + interval 1 day
                    then '{{ known_at }} ' || judged.raw_{{ known_at }} || ' is more than {{ furthest }} later than nearly all other rows of the table'
                else judged.problem
            end as problem
        )
    from judged
    left join limits on judged.batch_id = limits.batch_id

),
{%- endif %}
{%- endmacro %}


{% macro row_versions(key, facts) -%}
{#- `checked` as `versioned`: whether a good row repeats the one before it of its key, or else the how manieth version of it it is. -#}
{%- set fingerprint = 'hash(' ~ (facts | join(', ') if facts else '0') ~ ')' -%}
fingerprinted as (

    select
        *,
        {{ fingerprint }} as fingerprint,
        row_number() over by_key as key_rank,
        lag({{ fingerprint }}) over by_key as fingerprint_before
    from checked
    window by_key as (partition by {{ key | join(', ') }}, problem is null order by file_id, line_number)

),

{% if is_incremental() and 'file_id' not in key -%}
earlier as (

    select
        {%- for column in key %}
        earlier.{{ column }},
        {%- endfor %}
        max(earlier.row_version) as row_version,
        arg_max(hash({% for column in facts %}earlier.{{ column }}{{ ', ' if not loop.last }}{% else %}0{% endfor %}), earlier.row_version) as fingerprint
    from {{ this }} as earlier
    where
        earlier.quarantine_reason is null
        and ({% for column in key %}earlier.{{ column }}{{ ', ' if not loop.last }}{% endfor %}) in (select ({{ key | join(', ') }}) from fingerprinted where problem is null)
    group by {{ key | join(', ') }}

),

compared as (

    select
        fingerprinted.*,
        coalesce(earlier.row_version, 0) as version_before,
        problem is null and fingerprinted.fingerprint is not distinct from
        case when key_rank > 1 then fingerprint_before else earlier.fingerprint end as is_repeat
    from fingerprinted
    left join earlier
        on {% for column in key %}fingerprinted.{{ column }} = earlier.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}

),
{%- else -%}
compared as (

    select
        *,
        0 as version_before,
        problem is null and key_rank > 1 and fingerprint = fingerprint_before as is_repeat
    from fingerprinted

),
{%- endif %}

versioned as (

    select
        *,
        (version_before + sum((not is_repeat)::integer) over (
            partition by {{ key | join(', ') }}, problem is null order by key_rank rows unbounded preceding
        ))::integer as row_version
    from compared

)
{%- endmacro %}
