{#
    What an invocation cost, one line per model, written beside what Python's assets write: `lake/costs/<date>-<invocation>.jsonl`.
    The CPU seconds are those of the whole process while dbt works, shared out by the time that each model and its tests took, as DuckDB works on several at once.
    The start of a dbt in a shell is a line of its own; within a run of Dagster, which starts dbt once, Python writes that line.
#}

{% macro cpu_seconds_query() -%}
    {#- CPU seconds of this process so far and its age in seconds; nulls where the kernel has no /proc. A clock tick of Linux is a hundredth of a second. -#}
    {%- if run_query("select file from glob('/proc/self/stat')").rows | length == 0 -%}
        select null::double as cpu_seconds, null::double as age_seconds
    {%- else -%}
        select
            (fields[12]::bigint + fields[13]::bigint) / 100 as cpu_seconds,
            uptime - fields[20]::bigint / 100 as age_seconds
        from (
            select
                string_split(regexp_extract(stat.content, '\) (.*)$', 1, 's'), ' ') as fields,
                split_part(uptime.content, ' ', 1)::double as uptime
            from read_text('/proc/self/stat') as stat
            cross join read_text('/proc/uptime') as uptime
        )
    {%- endif -%}
{%- endmacro %}


{% macro prepare_costs() -%}
    {#- What the process has spent before the first model; the ledger is never without a file, so that it can be read as a table. -#}
    {% do run_query("create or replace table perennial_invocation as " ~ cpu_seconds_query()) %}
    {% set ledger = home() ~ '/lake/costs' %}
    {% if run_query("select file from glob('" ~ ledger ~ "/*.jsonl')").rows | length == 0 %}
        {% do run_query("copy (select 1 where false) to '" ~ ledger ~ "/0000-00-00-none.jsonl' (format json)") %}
    {% endif %}
{%- endmacro %}


{% macro record_costs(results, published) -%}
    {#- `published`: model -> [rows, bytes] of the parts that were written now. -#}
    {% set rows = [] %}
    {% for result in results if result.node.resource_type in ('model', 'seed', 'snapshot', 'test') %}
        {% set node = result.node %}
        {% set tested = node.attached_node or (node.depends_on.nodes | first) if node.resource_type == 'test' else node.unique_id %}
        {% do rows.append("('" ~ (tested or node.name).split('.')[-1] ~ "', " ~ (result.execution_time or 0) ~ ", "
            ~ (result.status | string in ('success', 'pass', 'warn', 'no-op')) ~ ")") %}
    {% endfor %}
    {% if not rows %}{{ return('') }}{% endif %}
    {% set sizes = ["('', 0, 0)"] %}
    {% for name, size in published.items() %}{% do sizes.append("('" ~ name ~ "', " ~ size[0] ~ ", " ~ size[1] ~ ")") %}{% endfor %}
    {% set run = env_var('PERENNIAL_RUN', invocation_id) %}
    {% set began = run_started_at.strftime('%Y-%m-%dT%H:%M:%SZ') %}
    {% set ledger %}
        with
        worked(asset, seconds, passed) as (values {{ rows | join(', ') }}),
        sizes(asset, row_count, byte_count) as (values {{ sizes | join(', ') }}),
        process as (
            select
                spent.cpu_seconds - start.cpu_seconds as cpu_seconds,
                case when start.age_seconds - {{ '%.1f' | format((modules.datetime.datetime.now(modules.pytz.utc) - run_started_at).total_seconds()) }} < 60 then start.cpu_seconds end as start_seconds
            from ({{ cpu_seconds_query() }}) as spent
            cross join perennial_invocation as start
        ),
        assets as (
            select
                asset,
                case when bool_and(passed) then 'success' else 'failure' end as outcome,
                sum(seconds) as wall_seconds,
                (select cpu_seconds from process) * sum(seconds) / nullif(sum(sum(seconds)) over (), 0) as cpu_seconds
            from worked
            group by asset
        ),
        lines as (
            select asset, outcome, wall_seconds, cpu_seconds, row_count as "rows", byte_count as "bytes" from assets left join sizes using (asset)
            union all
            select 'dbt start', 'success', null, start_seconds, null, null from process where start_seconds is not null and '{{ env_var('PERENNIAL_RUN', '') }}' = ''
        )
        select
            '{{ run }}' as run, '{{ env_var('PERENNIAL_JOB', 'dbt ' ~ flags.WHICH) }}' as job, asset, outcome, '{{ began }}' as began_at,
            round(wall_seconds, 3) as wall_seconds, round(cpu_seconds, 3) as cpu_seconds, "rows", "bytes"
        from lines
        order by asset
    {% endset %}
    {% do run_query(
        "copy (" ~ ledger ~ ") to '" ~ home() ~ "/lake/costs/" ~ run_started_at.strftime('%Y-%m-%d') ~ "-" ~ invocation_id ~ ".jsonl' (format json, use_tmp_file true)"
    ) %}
{%- endmacro %}
