{#
    How far an incremental model has read the landing files. A model states `known_at >= {{ changed_from() }}` and so touches only what new files
    can have changed: nothing when none came, one day when a day came, everything from that day on when a file came late.
    Each model keeps its own mark, written in the same transaction as its rows: a run that was cut off is caught up by the next.
#}

{% macro model_definition() -%}
    {{ return(local_md5(model.raw_code ~ (model.get('columns', {}).keys() | list | string))) }}
{%- endmacro %}


{% macro changed_from() -%}
    {#- SQL timestamp: facts known before it cannot have changed since this model was last built. -#}
    {%- if not execute or not is_incremental() -%}
        {{ return("timestamp '1900-01-01'") }}
    {%- endif -%}
    {%- set intake = ref('int_landing__intake') -%}
    {%- set answer = run_query(
        "with progress as (select coalesce(max(file_id), 0) as file_id from perennial_progress "
        ~ "where model = '" ~ model.name ~ "' and definition = '" ~ model_definition() ~ "') "
        ~ "select case when min(first_known_at) filter (where intake.file_id > progress.file_id) is not null then "
        ~ "least(min(first_known_at) filter (where intake.file_id > progress.file_id), "
        ~ "coalesce(max(last_known_at) filter (where intake.file_id <= progress.file_id), timestamp '1900-01-01')) end::varchar "
        ~ "from " ~ intake ~ " as intake cross join progress"
    ).rows[0][0] -%}
    {{ return("timestamp '" ~ (answer or '9999-12-31') ~ "'") }}
{%- endmacro %}


{% macro record_progress() -%}
    insert or replace into perennial_progress
    select '{{ model.name }}', coalesce(max(file_id), 0), '{{ model_definition() }}' from {{ ref('int_landing__intake') }}
{%- endmacro %}
