{#
    Drift at warehouse speed: distributions are compared through value counts, so a feature is read once, whatever the number of statistics.
    The reference of a model version is its training set; it is counted once and kept.
#}

{% macro feature_value(node, feature) -%}
    {#- A feature's value as a number; a category's number is taken from its hash, and only its equality means something. -#}
    {%- set type = node.columns[feature].data_type | lower -%}
    {%- if type in ('varchar', 'text', 'string') -%}
        (hash({{ feature }}) >> 12)::double
    {%- else -%}
        {{ feature }}::double
    {%- endif -%}
{%- endmacro %}


{% macro is_category(node, feature) -%}
    {{ return(node.columns[feature].data_type | lower in ('varchar', 'text', 'string')) }}
{%- endmacro %}


{% macro watched_training_sets() -%}
    {#- Training-set nodes with the union of the features that their models use. -#}
    {% set found = {} %}
    {% for model in declared_models() %}
        {% do found.setdefault(model.training_set.name, {'node': model.training_set, 'features': model.features,
            'decision_key': model.decision_key, 'label_known_at': model.label_known_at, 'decision_at': model.decision_at}) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}


{% macro reference_bins() -%} 10 {%- endmacro %}


{% macro reference_value_counts(wanted) -%}
    {#- `wanted`: a CTE of (training_set, reference_as_of). One row per feature and value of the rows whose label was known by then. -#}
    {%- for name, set in watched_training_sets().items() %}
    {%- set set_loop = loop %}
    {%- for feature in set.features %}
    select
        '{{ name }}' as training_set,
        wanted.reference_as_of,
        '{{ feature }}' as feature,
        {{ is_category(set.node, feature) | lower }} as is_category,
        {{ feature_value(set.node, feature) }} as value,
        count(*) as row_count
    from {{ set.node.relation_name }}
    inner join {{ wanted }} as wanted
        on wanted.training_set = '{{ name }}' and {{ set.label_known_at }} <= wanted.reference_as_of
    group by all
    {{ 'union all' if not (loop.last and set_loop.last) }}
    {%- endfor %}
    {%- else %}
    select
        null::varchar as training_set,
        null::timestamp as reference_as_of,
        null::varchar as feature,
        null::boolean as is_category,
        null::double as value,
        null::bigint as row_count
    where false
    {%- endfor %}
{%- endmacro %}


{% macro current_value_counts(scored) -%}
    {#- `scored`: a CTE of (model, model_version, training_set, reference_as_of, window_start, decision_key). -#}
    {%- for name, set in watched_training_sets().items() %}
    select
        model,
        model_version,
        training_set,
        reference_as_of,
        window_start,
        feature,
        value,
        count(*) as row_count
    from (
        select * from (
            select
                scored.model,
                scored.model_version,
                scored.training_set,
                scored.reference_as_of,
                scored.window_start,
                {%- for feature in set.features %}
                {{ feature_value(set.node, feature) }} as {{ feature }}{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ scored }} as scored
            inner join {{ set.node.relation_name }} as training_set
                on scored.training_set = '{{ name }}' and scored.decision_key = {{ set.decision_key }}
        )
        unpivot include nulls (value for feature in ({{ set.features | join(', ') }}))
    )
    group by all
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        null::varchar as model,
        null::integer as model_version,
        null::varchar as training_set,
        null::timestamp as reference_as_of,
        null::date as window_start,
        null::varchar as feature,
        null::double as value,
        null::bigint as row_count
    where false
    {%- endfor %}
{%- endmacro %}


{% macro reference_profile(counts, by) -%}
    {#-
        A distribution to compare with, as value counts with ranks. `counts`: a CTE with the columns `by`, is_category, value, row_count.
        Adds rows_up_to, rows_known, rows_all and bin: tenths by rank for numbers, a bin for each category, -1 for null.
    -#}
    select
        {{ by | join(', ') }},
        is_category,
        value,
        row_count::bigint as row_count,
        rows_up_to::bigint as rows_up_to,
        coalesce(rows_known, 0)::bigint as rows_known,
        rows_all::bigint as rows_all,
        case
            when value is null then -1
            when is_category then value
            else least({{ reference_bins() }} - 1, floor({{ reference_bins() }} * (rows_up_to - row_count / 2.0) / rows_known))
        end as bin
    from (
        select
            *,
            case when value is not null then sum(row_count) over up_to_value end as rows_up_to,
            sum(row_count) filter (where value is not null) over whole as rows_known,
            sum(row_count) over whole as rows_all
        from {{ counts }}
        window
            up_to_value as (partition by {{ by | join(', ') }}, value is null order by value rows unbounded preceding),
            whole as (partition by {{ by | join(', ') }})
    )
{%- endmacro %}


{% macro drift_statistics(counts, reference, by, reference_by) -%}
    {#-
        How far value counts stand from a reference profile: one row per `by` that has a reference. `counts`: a CTE with the columns `by`, `reference_by`,
        value, row_count; `reference`: a relation or CTE as `reference_profile` makes it, keyed by `reference_by`.
        Population stability index (the sum of (actual - expected) x ln(actual / expected) over the bins) and Jensen-Shannon divergence (bits) count an empty bin as one
        ten-thousandth, so that they stay finite; the Kolmogorov-Smirnov distance is exact, over every value.
    -#}
    {%- set keys = by | join(', ') -%}
    with

    cumulated as (

        select
            *,
            case when value is not null then sum(row_count) over up_to_value end as rows_up_to,
            sum(row_count) filter (where value is not null) over whole as rows_known,
            sum(row_count) over whole as rows_all
        from {{ counts }}
        window
            up_to_value as (partition by {{ keys }}, value is null order by value rows unbounded preceding),
            whole as (partition by {{ keys }})

    ),

    placed as (

        -- Where each value stands among the reference's values: the largest of these that is not above it.
        select
            cumulated.*,
            at_or_below.value is not null and at_or_below.value = cumulated.value as is_in_reference,
            at_or_below.bin as bin_at_or_below,
            coalesce(at_or_below.rows_up_to, 0) as reference_up_to,
            coalesce(
                at_or_below.rows_up_to - case when at_or_below.value = cumulated.value then at_or_below.row_count else 0 end, 0
            ) as reference_below
        from cumulated
        asof left join {{ reference }} as at_or_below
            on
                {%- for key in reference_by %}
                cumulated.{{ key }} = at_or_below.{{ key }} and
                {%- endfor %}
                cumulated.value >= at_or_below.value

    ),

    reference_wholes as (

        select
            {{ reference_by | join(', ') }},
            any_value(is_category) as is_category,
            any_value(rows_known) as rows_known
        from {{ reference }}
        group by {{ reference_by | join(', ') }}

    ),

    compared as (

        select
            placed.*,
            reference_wholes.is_category,
            reference_wholes.rows_known as reference_known,
            case
                when placed.value is null then -1
                when placed.is_in_reference then placed.bin_at_or_below
                when reference_wholes.is_category then -2
                else least(
                    {{ reference_bins() }} - 1,
                    floor({{ reference_bins() }} * placed.reference_up_to / nullif(reference_wholes.rows_known, 0))
                )
            end as bin
        from placed
        inner join reference_wholes using ({{ reference_by | join(', ') }})

    ),

    distances as (

        -- Between two neighbouring values of the window only the reference's share grows, so its largest distance is at one side of a value.
        select
            {{ keys }},
            {% for key in reference_by if key not in by %}any_value({{ key }}) as {{ key }},
            {% endfor -%}
            any_value(rows_all) as rows_all,
            sum(row_count) filter (where value is null) as null_rows,
            max(
                case
                    when not is_category and value is not null
                        then greatest(
                            abs(reference_up_to / reference_known - rows_up_to / rows_known),
                            abs(reference_below / reference_known - (rows_up_to - row_count) / rows_known)
                        )
                end
            ) as kolmogorov_smirnov
        from compared
        group by {{ keys }}

    ),

    reference_shares as (

        select
            {{ reference_by | join(', ') }},
            bin,
            sum(row_count) / any_value(rows_all) as share
        from {{ reference }}
        group by {{ reference_by | join(', ') }}, bin

    ),

    window_shares as (

        select
            {{ keys }},
            bin,
            sum(row_count) / any_value(rows_all) as share
        from compared
        group by {{ keys }}, bin

    ),

    expected_shares as (

        select
            {% for key in by %}distances.{{ key }},
            {% endfor -%}
            reference_shares.bin,
            reference_shares.share
        from distances
        inner join reference_shares using ({{ reference_by | join(', ') }})

    ),

    shares as (

        select
            {{ keys }},
            bin,
            greatest(coalesce(expected_shares.share, 0), 1e-4) as expected,
            greatest(coalesce(window_shares.share, 0), 1e-4) as actual
        from expected_shares
        full outer join window_shares using ({{ keys }}, bin)

    ),

    divergences as (

        select
            {{ keys }},
            sum((actual - expected) * ln(actual / expected)) as population_stability,
            sum(
                0.5 * actual * log2(2 * actual / (actual + expected)) + 0.5 * expected * log2(2 * expected / (actual + expected))
            ) as jensen_shannon
        from shares
        group by {{ keys }}

    )

    select
        {{ keys }},
        distances.rows_all::bigint as decisions,
        round(coalesce(distances.null_rows, 0) / distances.rows_all, 6) as null_share,
        round(divergences.population_stability, 6) as population_stability,
        round(divergences.jensen_shannon, 6) as jensen_shannon,
        round(distances.kolmogorov_smirnov, 6) as kolmogorov_smirnov
    from distances
    inner join divergences using ({{ keys }})
{%- endmacro %}
