{# What every domain asks of its landed rows, each in one line of its own folder: what came in, how far the facts reach, what was set aside. #}

{% macro landing_tables_of(node) -%}
    {#- The landing tables, as sources, whose rows this node reads through its base_ models. -#}
    {%- set found = {} -%}
    {%- if execute -%}
        {%- for parent in node.depends_on.nodes if parent in graph.nodes -%}
            {%- for unique_id in graph.nodes[parent].depends_on.nodes if unique_id in graph.sources -%}
                {%- do found.update({unique_id: graph.sources[unique_id]}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found.values() | list) }}
{%- endmacro %}


{% macro is_of_landing_tables(node) -%}
    {#- SQL condition over the columns feed and table_name of stg_landing__files: the file belongs to one of the node's landing tables. -#}
    {%- set tables = [] -%}
    {%- for source in landing_tables_of(node) -%}{%- do tables.append("('" ~ source.source_name ~ "', '" ~ source.name ~ "')") -%}{%- endfor -%}
    {{ '(feed, table_name) in (' ~ tables | join(', ') ~ ')' if tables else 'false' }}
{%- endmacro %}


{% macro is_of_domain_of_tested() -%}
    {#- The same for a test of an intake: within a test, `model` is the test's own node only here. -#}
    {%- if execute -%}
        {{ is_of_landing_tables(graph.nodes[model.attached_node]) }}
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{% macro domain_intake(bases) -%}
{#- One row per accepted file of the domain, with what became of its rows. `bases`: the domain's base_ models. Materialised incrementally, by whole batches. -#}
with

rows_read as (

    {% for base in bases -%}
    select
        file_id,
        known_at,
        row_version,
        quarantine_reason is null as is_good
    from {{ base }}
    {% if is_incremental() %}where file_id > (select coalesce(max(file_id), 0) from {{ this }}){% endif %}
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        null::bigint as file_id,
        null::timestamp as known_at,
        null::integer as row_version,
        null::boolean as is_good
    where false
    {% endfor %}

),

counted as (

    select
        file_id,
        count(*) filter (where is_good) as staged_rows,
        count(*) filter (where not is_good) as quarantined_rows,
        count(*) filter (where is_good and row_version > 1) as corrected_rows,
        min(known_at) filter (where is_good) as first_reported_at,
        max(known_at) filter (where is_good) as last_reported_at
    from rows_read
    group by file_id

),

files as (

    select
        *,
        {{ files_as_reported() }} as is_as_reported
    from {{ ref('stg_landing__files') }}
    where
        status = 'accepted'
        and {{ is_of_landing_tables(model) }}
        {% if is_incremental() %}and file_id > (select coalesce(max(file_id), 0) from {{ this }}){% endif %}

),

first_unread as (

    -- Rows of this batch have not been read yet: someone built the door without what stands behind it, or a file changed meanwhile. It and what follows wait for the
    -- next build; a batch that counted in part would move the watermark under the rest of it.
    select min(batch_id) as batch_id
    from files
    where data_lines > 0 and file_id not in (select file_id from counted)

),

reached as (

    -- How far the facts of the domain reached before each batch.
    select
        files.file_id,
        case
            when not files.is_as_reported
                then
                    {% if is_incremental() -%}
                    greatest(
                        (select max(standing.last_reported_at) from {{ this }} as standing),
                        max(counted.last_reported_at) over before_the_batch
                    )
                    {%- else -%}
                    max(counted.last_reported_at) over before_the_batch
                    {%- endif %}
        end as known_from_at
    from files
    left join counted on files.file_id = counted.file_id
    window before_the_batch as (order by files.batch_id range between unbounded preceding and 1 preceding)

),

late as (

    select
        rows_read.file_id,
        count(*) as late_rows
    from rows_read
    inner join reached on rows_read.file_id = reached.file_id
    where rows_read.is_good and rows_read.known_at <= reached.known_from_at
    group by rows_read.file_id

)

select
    files.file_id,
    files.batch_id,
    files.feed as source_name,
    files.table_name,
    files.data_lines as landed_rows,
    coalesce(counted.staged_rows, 0) as staged_rows,
    coalesce(counted.quarantined_rows, 0) as quarantined_rows,
    coalesce(late.late_rows, 0) as late_rows,
    coalesce(counted.corrected_rows, 0) as corrected_rows,
    counted.first_reported_at,
    counted.last_reported_at,
    reached.known_from_at
from files
inner join reached on files.file_id = reached.file_id
left join counted on files.file_id = counted.file_id
left join late on files.file_id = late.file_id
where files.batch_id < (select coalesce(batch_id, 9223372036854775807) from first_unread)
{%- endmacro %}


{% macro domain_watermark(intake) -%}
{#- One row: how far the domain's facts reach. -#}
select max(last_reported_at) as watermark_at
from {{ intake }}
{%- endmacro %}


{% macro domain_quarantine(bases) -%}
{#- One row per landed line of the domain that was set aside. `bases`: the domain's base_ models. -#}
{% for base in bases -%}
select
    files.feed as source_name,
    files.table_name,
    base.file_id,
    base.line_number,
    base.quarantine_reason,
    base.quarantined_line
from {{ base }} as base
inner join {{ ref('stg_landing__files') }} as files on base.file_id = files.file_id
where base.quarantine_reason is not null
{{ 'union all' if not loop.last }}
{% else -%}
select
    null::varchar as source_name,
    null::varchar as table_name,
    null::bigint as file_id,
    null::bigint as line_number,
    null::varchar as quarantine_reason,
    null::varchar as quarantined_line
where false
{% endfor %}
{%- endmacro %}
