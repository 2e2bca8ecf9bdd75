{# When this system could have known a landed row: its source's word, unless it came late. #}

{% macro landed_facts(base) -%}
{#- The good rows of a base_ model, of the files that the domain has taken in. `known_at` is when they could have been known here: what a row says of itself, or the
    moment after the watermark that it found, if it speaks of a time already passed. A later version of a row is never known before an earlier one. -#}
{%- set declared = landing_source_of(base) -%}
{%- set key = landed_key(declared) -%}
{%- set is_versioned = declared and 'file_id' not in key and landed_meta(declared).get('corrections') != 'refused' -%}
select
    base.* exclude (known_at, quarantine_reason, quarantined_line),
    {% if is_versioned -%}
    coalesce(corrected.known_at, greatest(base.known_at, intake.known_from_at + interval 1 microsecond)) as known_at,
    {%- else -%}
    greatest(base.known_at, intake.known_from_at + interval 1 microsecond) as known_at,
    {%- endif %}
    coalesce(base.known_at <= intake.known_from_at, false) as is_late
from {{ base }} as base
inner join {{ domain_intake_of(model) }} as intake on base.file_id = intake.file_id
{% if is_versioned -%}
left join (
    select
        base.file_id,
        base.line_number,
        max(greatest(base.known_at, intake.known_from_at + interval 1 microsecond)) over (
            partition by {% for column in key %}base.{{ column }}{{ ', ' if not loop.last }}{% endfor %} order by base.row_version
        ) as known_at
    from {{ base }} as base
    inner join {{ domain_intake_of(model) }} as intake on base.file_id = intake.file_id
    where
        base.quarantine_reason is null
        and ({% for column in key %}base.{{ column }}{{ ', ' if not loop.last }}{% endfor %}) in (
            select ({{ key | join(', ') }}) from {{ base }} where row_version > 1 and quarantine_reason is null
        )
) as corrected on base.file_id = corrected.file_id and base.line_number = corrected.line_number
{% endif -%}
where base.quarantine_reason is null
{%- endmacro %}


{% macro files_as_reported() -%}
    {#- SQL condition over stg_landing__files: the source is trusted with when its rows became known (`config.meta.as_reported`, or `*.as_reported.csv`). -#}
    {%- set tables = [] -%}
    {%- for source in landing_sources().values() if landed_meta(source).get('as_reported') -%}
        {%- do tables.append("('" ~ source.source_name ~ "', '" ~ source.name ~ "')") -%}
    {%- endfor -%}
    (ends_with(path, '.as_reported.csv'){{ ' or (feed, table_name) in (' ~ tables | join(', ') ~ ')' if tables }})
{%- endmacro %}


{% macro landing_source_of(base) -%}
    {#- The landing table, as a source, that a base_ model reads; none while dbt only parses, or runs a unit test. -#}
    {%- set found = namespace(source=none) -%}
    {%- if execute and 'sources' in graph -%}
        {%- for source in landing_sources().values() if base.identifier in base_models_of(source) -%}{%- set found.source = source -%}{%- endfor -%}
    {%- endif -%}
    {{ return(found.source) }}
{%- endmacro %}


{% macro base_models_of(source) -%}
    {#- Names of the base_ models that read a landing table: one, if the project is in order. -#}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and source.unique_id in node.depends_on.nodes and node.name.startswith('base_') -%}
        {%- do found.append(node.alias) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
