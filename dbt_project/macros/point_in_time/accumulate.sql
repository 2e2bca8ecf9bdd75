{#
    An accumulator: per entity, one row for each moment at which something became known, holding whole-number sums since the beginning.
    What happened in any window is the value at its end minus the value at its start (`windows` of point_in_time_join), whatever the window.
    Whole numbers only (and below 2^53, so that doubles, which DuckDB adds three times as fast as big integers, hold them exactly): their sums do not depend on the order of addition, so a table built in steps is the table built at once, to the byte.
#}

{% macro accumulate(events, keys, measures, changed_from) -%}
{#- `events`: a CTE with the keys, known_at and one whole-number column per measure; all those known at or after `changed_from`. -#}
    select
        {% for key in keys -%}
        moments.{{ key }},
        {% endfor -%}
        moments.known_at,
        {% for measure in measures -%}
        ({{ 'coalesce(opening.' ~ measure ~ ', 0) + ' if is_incremental() }}sum(moments.{{ measure }}::double) over following)::bigint as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from (
        select
            {{ keys | join(', ') }},
            known_at,
            {% for measure in measures -%}
            sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ events }}
        where known_at >= {{ changed_from }}
        group by {{ keys | join(', ') }}, known_at
    ) as moments
    {% if is_incremental() -%}
    left join (
        select
            {{ keys | join(', ') }},
            {% for measure in measures -%}
            arg_max({{ measure }}, known_at) as {{ measure }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ this }}
        where known_at < {{ changed_from }}
        group by {{ keys | join(', ') }}
    ) as opening
        on {% for key in keys %}moments.{{ key }} = opening.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
    {% endif -%}
    window following as (partition by {% for key in keys %}moments.{{ key }}{{ ', ' if not loop.last }}{% endfor %} order by moments.known_at rows unbounded preceding)
{%- endmacro %}
