{#- Every row of the spine, with what each feature table was known to hold at the row's decision. Arguments: _macros.yml. -#}
{%- macro point_in_time_join(spine, decision_at, features) -%}
    {{- return(adapter.dispatch('point_in_time_join')(spine, decision_at, point_in_time_lookups(spine, decision_at, features))) -}}
{%- endmacro -%}

{#- How the query stays exact and cheap in DuckDB:
    * Spine rows are numbered, and fetch their answers by that number. An as-of join answers a row at most once: none is lost or repeated.
    * Only (row, key as an integer, moment) goes through the as-of joins: they sort both sides, and sorting wide rows and texts is what costs.
    * Of each key, rows after the last moment, and before the newest that the first moment knew, are dropped before any sort.
    * Ties cost little where there are none: only tied rows are ranked.
    * Left of an as-of join stand plain rows of the spine, never a distinct of them: DuckDB 2.0 turns the join into a nested loop (minutes instead of
      milliseconds) where it expects at most 64 rows on the left, and of a distinct it expects far too few. (`asof right join` is never turned into
      a loop, but on one thread it hangs.) -#}
{%- macro duckdb__point_in_time_join(spine, decision_at, lookups) -%}
with

pit_spine as (

    select
        *,
        cast(row_number() over () as bigint) as pit_row
    from {{ spine }}

),

pit_bounds as (

    select
        min({{ decision_at }}) as first_decision,
        max({{ decision_at }}) as last_decision
    from pit_spine

),
{% for lookup in lookups %}
{%- set first_moment = 'select first_decision' ~ (" - interval '" ~ lookup.longest_window ~ "'" if lookup.longest_window else '') ~ ' from pit_bounds' %}
-- {{ lookup.table }}
{{ lookup.name }}_keys as (

    select
        *,
        cast(row_number() over () as integer) as pit_key
    from (
        select
            {{ lookup.on | join(', ') }},
            max(case when {{ lookup.known_at }} <= ({{ first_moment }}) then {{ lookup.known_at }} end) as pit_since,
            (select last_decision from pit_bounds) as pit_until
        from {{ lookup.table }}
        group by {{ lookup.on | join(', ') }}
    )

),

{{ lookup.name }}_asked as (

    select
        spine.pit_row,
        keys.pit_key,
        spine.{{ decision_at }} as pit_moment
    from pit_spine as spine
    left join {{ lookup.name }}_keys as keys on {{ point_in_time_same(lookup.on, 'spine', 'keys') }}

),

{{ lookup.name }}_known as not materialized (

    select
        keys.pit_key,
        features.{{ lookup.known_at }} as pit_known_at,
        {%- for column in (lookup.columns + lookup.order_by) | unique %}
        features.{{ column }},
        {%- endfor %}
    from {{ lookup.table }} as features
    inner join {{ lookup.name }}_keys as keys on {{ point_in_time_same(lookup.on, 'features', 'keys') }}
    where
        features.{{ lookup.known_at }} <= keys.pit_until
        and (keys.pit_since is null or features.{{ lookup.known_at }} >= keys.pit_since)

),

{{ lookup.name }}_ties as (

    select
        pit_key,
        pit_known_at
    from {{ lookup.name }}_known
    group by pit_key, pit_known_at
    having count(*) > 1

),

{{ lookup.name }}_features as {{ 'not materialized ' if lookup.slugs | length == 1 else '' }}(

    select * from {{ lookup.name }}_known
    anti join {{ lookup.name }}_ties using (pit_key, pit_known_at)
    union all
    select * from {{ lookup.name }}_known
    semi join {{ lookup.name }}_ties using (pit_key, pit_known_at)
    qualify row_number() over (partition by pit_key, pit_known_at order by {{ lookup.preference }}) = 1

),
{% for edge in lookup.edges %}
{{ lookup.name }}_{{ edge.slug }} as (

    select
        asked.pit_row,
        {%- if lookup.time_to_live %}
        features.pit_known_at,
        {%- endif %}
        {%- for column in lookup.columns %}
        features.{{ column }},
        {%- endfor %}
    from {{ lookup.name }}_asked as asked
    asof join {{ lookup.name }}_features as features
        on asked.pit_key = features.pit_key and {{ point_in_time_edge('asked.pit_moment', edge) }} >= features.pit_known_at

){{ ',' if not (loop.last and lookup is sameas lookups[-1]) else '' }}
{% endfor -%}
{%- endfor %}
select
    spine.* exclude (pit_row)
    {{- point_in_time_outputs(decision_at, lookups) }}
from pit_spine as spine
{%- for lookup in lookups %}
{%- for slug in lookup.slugs %}
left join {{ lookup.name }}_{{ slug }} on spine.pit_row = {{ lookup.name }}_{{ slug }}.pit_row
{%- endfor %}
{%- endfor %}
{%- endmacro -%}

{#- For engines without an as-of join: the same answers in standard SQL, at the cost of looking at every earlier row. -#}
{%- macro default__point_in_time_join(spine, decision_at, lookups) -%}
select
    spine.*
    {{- point_in_time_outputs(decision_at, lookups) }}
from {{ spine }} as spine
{%- for lookup in lookups %}
{%- for edge in lookup.edges %}
left join (
    select *
    from (
        select
            {% for key in lookup.on %}asked.{{ key }}, {% endfor %}
            asked.pit_moment,
            features.{{ lookup.known_at }} as pit_known_at,
            {%- for column in lookup.columns %}
            features.{{ column }},
            {%- endfor %}
            row_number() over (
                partition by {% for key in lookup.on %}asked.{{ key }}, {% endfor %}asked.pit_moment
                order by features.{{ lookup.known_at }} desc, {{ lookup.preference }}
            ) as pit_place
        from (select distinct {% for key in lookup.on %}spine.{{ key }}, {% endfor %}{{ point_in_time_edge('spine.' ~ decision_at, edge) }} as pit_moment from {{ spine }} as spine) as asked
        inner join {{ lookup.table }} as features
            on {{ point_in_time_same(lookup.on, 'asked', 'features') }} and asked.pit_moment >= features.{{ lookup.known_at }}
    ) as known
    where pit_place = 1
) as {{ lookup.name }}_{{ edge.slug }}
    on {{ point_in_time_same(lookup.on, 'spine', lookup.name ~ '_' ~ edge.slug) }} and {{ point_in_time_edge('spine.' ~ decision_at, edge) }} = {{ lookup.name }}_{{ edge.slug }}.pit_moment
{%- endfor %}
{%- endfor %}
{%- endmacro -%}

{#- The feature columns of the closing select, each led by its comma. -#}
{%- macro point_in_time_outputs(decision_at, lookups) -%}
    {%- for lookup in lookups %}
    {%- for column in lookup.columns %}
    {%- set now = lookup.name ~ '_now.' ~ column %}
    {%- if lookup.accumulates %}
    {%- for slug in lookup.slugs if slug != 'now' or lookup.now %},
    coalesce({{ now }}, 0){% if slug != 'now' %} - coalesce({{ lookup.name }}_{{ slug }}.{{ column }}, 0){% endif %} as {{ lookup.prefix }}{{ column }}{{ '_' ~ slug if slug != 'now' else '' }}
    {%- endfor %}
    {%- elif lookup.time_to_live %},
    case when {{ lookup.name }}_now.pit_known_at >= spine.{{ decision_at }} - interval '{{ lookup.time_to_live }}' then {{ now }} end as {{ lookup.prefix }}{{ column }}
    {%- else %},
    {{ now }} as {{ lookup.prefix }}{{ column }}
    {%- endif %}
    {%- endfor %}
    {%- endfor %}
{%- endmacro -%}

{#- The moment that a row asks about: its decision, or the start of a window before it. -#}
{%- macro point_in_time_edge(decision_at, edge) -%}
    {{ decision_at }}{{ " - interval '" ~ edge.interval ~ "'" if edge.interval else '' }}
{%- endmacro -%}

{%- macro point_in_time_same(columns, left, right) -%}
    {%- for column in columns -%}{{ left }}.{{ column }} = {{ right }}.{{ column }}{{ ' and ' if not loop.last else '' }}{%- endfor -%}
{%- endmacro -%}

{#- The feature specifications, checked and completed: a list of dictionaries. -#}
{%- macro point_in_time_lookups(spine, decision_at, features) -%}
    {%- if not spine -%}
        {{- point_in_time_error('spine', "names no rows to join to; pass the name of a CTE in scope or a relation") -}}
    {%- endif -%}
    {%- if decision_at is not string or not decision_at -%}
        {{- point_in_time_error('decision_at', "is not the name of a column of the spine; pass it as a string") -}}
    {%- endif -%}
    {%- if features is string or features is mapping or not features -%}
        {{- point_in_time_error('features', "is not a list of feature tables; pass [{'table': ref('...'), 'on': ['...'], 'columns': ['...']}]") -}}
    {%- endif -%}
    {%- set known_options = ['table', 'on', 'columns', 'prefix', 'known_at', 'time_to_live', 'windows', 'now', 'order_by'] -%}
    {%- set lookups = [] -%}
    {%- set output_names = {decision_at | lower: 'the spine'} -%}
    {%- for feature in features -%}
        {%- if feature is not mapping or not feature.get('table') -%}
            {{- point_in_time_error('feature table ' ~ loop.index, "has no 'table'; add 'table': ref('...')") -}}
        {%- endif -%}
        {%- set table = feature['table'] -%}
        {%- for option in feature if option not in known_options -%}
            {{- point_in_time_error(table, "has an unknown option '" ~ option ~ "'; use " ~ known_options | join(', ')) -}}
        {%- endfor -%}
        {%- for option in ['on', 'columns', 'windows', 'order_by'] if option in feature -%}
            {%- if feature[option] is string or feature[option] is mapping or feature[option] is not iterable -%}
                {{- point_in_time_error(table, "has '" ~ option ~ "' that is not a list; write '" ~ option ~ "': ['...']") -}}
            {%- endif -%}
        {%- endfor -%}
        {%- if not feature.get('on') -%}
            {{- point_in_time_error(table, "has no 'on'; add the key columns that it shares with the spine: 'on': ['...']") -}}
        {%- endif -%}
        {%- set windows = [] -%}
        {%- for window in feature.get('windows', []) -%}
            {%- do windows.append(point_in_time_duration(table, 'windows', window)) -%}
        {%- endfor -%}
        {%- set accumulates = windows | length > 0 or feature.get('now', false) -%}
        {%- if accumulates and feature.get('time_to_live') -%}
            {{- point_in_time_error(table, "has both 'time_to_live' and accumulators ('windows', 'now'), which never go stale; drop one") -}}
        {%- endif -%}
        {%- set known_at = feature.get('known_at', 'known_at') -%}
        {%- set columns = feature['columns'] | list if 'columns' in feature else point_in_time_columns(table, feature['on'] + [known_at]) -%}
        {%- if not columns and (execute or 'columns' in feature) -%}
            {{- point_in_time_error(table, "has no feature columns; list them: 'columns': ['...']") -}}
        {%- endif -%}
        {%- set prefix = feature.get('prefix', '') -%}
        {%- set suffixes = [] if accumulates and not feature.get('now', false) else [''] -%}
        {%- for window in windows -%}{%- do suffixes.append('_' ~ window.slug) -%}{%- endfor -%}
        {%- for key in feature['on'] -%}{%- do output_names.setdefault(key | lower, 'the spine') -%}{%- endfor -%}
        {%- for column in columns -%}
            {%- for suffix in suffixes -%}
                {%- set output_name = (prefix ~ column ~ suffix) | lower -%}
                {%- if output_name in output_names -%}
                    {{- point_in_time_error(table, "yields a second column '" ~ output_name ~ "' (the first is of " ~ output_names[output_name] ~ "); set 'prefix'") -}}
                {%- endif -%}
                {%- do output_names.update({output_name: table | string}) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- set preference = [] -%}
        {%- for column in feature.get('order_by', []) | list + columns -%}{%- do preference.append(column ~ ' desc nulls last') -%}{%- endfor -%}
        {%- do lookups.append({
            'name': 'pit_' ~ loop.index, 'table': table, 'on': feature['on'] | list, 'columns': columns, 'prefix': prefix, 'known_at': known_at,
            'time_to_live': point_in_time_duration(table, 'time_to_live', feature['time_to_live']).interval if feature.get('time_to_live') else none,
            'edges': [{'slug': 'now', 'interval': none}] + windows, 'slugs': ['now'] + windows | map(attribute='slug') | list,
            'longest_window': (windows | sort(attribute='seconds') | last).interval if windows else none, 'now': feature.get('now', false), 'accumulates': accumulates,
            'order_by': feature.get('order_by', []) | list, 'preference': preference | join(', '),
        }) -%}
    {%- endfor -%}
    {{- return(lookups) -}}
{%- endmacro -%}

{#- '28 days' as an interval of elapsed time (hours: a day of a time zone may have 23) and the slug that names its columns. -#}
{%- macro point_in_time_duration(table, option, duration) -%}
    {%- set parts = (duration | string | lower).split() -%}
    {%- set unit = parts[1].rstrip('s') if parts | length == 2 else none -%}
    {%- set seconds = {'second': 1, 'minute': 60, 'hour': 3600, 'day': 86400, 'week': 604800} -%}
    {%- if unit not in seconds or not parts[0].isdigit() or parts[0] | int == 0 -%}
        {{- point_in_time_error(table, "has '" ~ option ~ "' with the malformed duration '" ~ duration ~ "'; write one like '90 minutes', '6 hours' or '28 days'") -}}
    {%- endif -%}
    {%- set length = parts[0] | int * seconds[unit] -%}
    {%- set unit_of = 'hour' if length % 3600 == 0 else 'minute' if length % 60 == 0 else 'second' -%}
    {{- return({'interval': (length // seconds[unit_of]) ~ ' ' ~ unit_of ~ 's', 'slug': parts[0] | int ~ unit[0], 'seconds': length}) -}}
{%- endmacro -%}

{#- All columns of a relation but its keys and known_at; nothing while dbt only parses. -#}
{%- macro point_in_time_columns(table, without) -%}
    {%- if table is string -%}
        {{- point_in_time_error(table, "is not a relation whose columns can be looked up; list them: 'columns': ['...']") -}}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for column in (adapter.get_columns_in_relation(table) if execute else []) -%}
        {%- if column.name | lower not in without | map('lower') | list -%}{%- do columns.append(column.name) -%}{%- endif -%}
    {%- endfor -%}
    {{- return(columns) -}}
{%- endmacro -%}

{%- macro point_in_time_error(what, message) -%}
    {{- exceptions.raise_compiler_error('point_in_time_join: ' ~ what ~ ' ' ~ message) -}}
{%- endmacro -%}
