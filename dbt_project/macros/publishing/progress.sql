{#
    How far an incremental model has read the landing files. A model states `known_at >= {{ changed_from() }}` and so touches only what new files
    can have changed: nothing when none came, one day when a day came, everything from that day on when a file came late.
    Each model keeps its own mark, written in the same transaction as its rows: a run that was cut off is caught up by the next.
    With `--vars '{backfill_from: 2013-05-01}'` everything known from that moment on is worked out anew, as if a file had come late.
#}

{% macro model_definition() -%}
    {{ return(local_md5(model.raw_code ~ (model.get('columns', {}).keys() | list | string))) }}
{%- endmacro %}


{% macro domain_intake_of(node) -%}
    {#- The intake of the node's own domain: other domains' files say nothing about its rows. -#}
    {{ return(ref('int_' ~ domain_of(node) ~ '__intake')) }}
{%- endmacro %}


{% macro changed_from() -%}
    {#- SQL timestamp: facts known before it cannot have changed since this model was last built. New facts are known after the watermark that their batch found
        (landed_facts), or when their source says, where it is trusted; and time itself has passed since the last watermark that this model saw. -#}
    {%- if not execute or not is_incremental() -%}
        {{ return("timestamp '-infinity'") }}
    {%- endif -%}
    {%- set intake = domain_intake_of(model) -%}
    {%- set answer = run_query(
        "with progress as (select coalesce(max(file_id), 0) as file_id from perennial_progress "
        ~ "where model = '" ~ model.name ~ "' and definition = '" ~ model_definition() ~ "') "
        ~ "select case when count(*) filter (where intake.file_id > progress.file_id) > 0 then least("
        ~ "min(coalesce(known_from_at + interval 1 microsecond, first_reported_at, timestamp '-infinity')) filter (where intake.file_id > progress.file_id), "
        ~ "coalesce(max(last_reported_at) filter (where intake.file_id <= progress.file_id) + interval 1 microsecond, timestamp '-infinity')) end::varchar "
        ~ "from " ~ intake ~ " as intake cross join progress"
    ).rows[0][0] -%}
    {%- set moments = [answer or '9999-12-31', var('backfill_from', none) or '9999-12-31'] -%}
    {{ return("timestamp '" ~ (moments | map('string') | min) ~ "'") }}
{%- endmacro %}


{% macro forget_what_may_change() -%}
    {#- Rows that are about to be written again, and those among them that have no successor: a fact that came late can end what followed from its absence. -#}
    {%- if is_incremental() -%}
        delete from {{ this }} where known_at >= {{ changed_from() }}
    {%- endif -%}
{%- endmacro %}


{% macro upstream_models(unique_id, found) -%}
    {%- for parent in graph.nodes[unique_id].depends_on.nodes if parent in graph.nodes and parent not in found -%}
        {%- do found.update({parent: graph.nodes[parent].name}) -%}
        {%- do upstream_models(parent, found) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro record_progress() -%}
    {#- A model has read no further than the models that it reads: they may be built one by one, by hand, in any order. -#}
    {%- set upstream = {} -%}
    {%- if execute -%}{%- do upstream_models(model.unique_id, upstream) -%}{%- endif -%}
    insert or replace into perennial_progress
    select '{{ model.name }}', least(coalesce(max(intake.file_id), 0), coalesce(min(behind.file_id), 0)), '{{ model_definition() }}'
    from {{ domain_intake_of(model) }} as intake
    cross join (
        select coalesce(min(file_id), 9223372036854775807) as file_id from perennial_progress
        where model in (select unnest({{ sql_list(upstream.values() | list) }}::varchar[]))
    ) as behind
{%- endmacro %}
