{# How far counted values stand from a reference: the statistics of drift, over value counts (value_counts.sql). #}

{% macro reference_bins() -%} 10 {%- endmacro %}


{% macro reference_profile(counts, by) -%}
    {#-
        A distribution to compare with. `counts`: a CTE with the columns `by`, is_category, value, row_count, rows_up_to, rows_known (see `ranks`).
        Adds bin: tenths by rank for numbers, a bin for each category, -1 for null.
    -#}
    select
        {{ by | join(', ') }},
        is_category,
        value,
        row_count::bigint as row_count,
        rows_up_to::bigint as rows_up_to,
        rows_known::bigint as rows_known,
        case
            when value is null then -1
            when is_category then value
            else least({{ reference_bins() }} - 1, floor({{ reference_bins() }} * (rows_up_to - row_count / 2.0) / rows_known))
        end as bin
    from {{ counts }}
{%- endmacro %}


{% macro drift_statistics(counts, reference, by, reference_by) -%}
    {#-
        How far counted values stand from a reference profile: one row per `by` that has a reference.
        `counts`: a CTE with the columns `by`, `reference_by`, value, row_count, rows_up_to, rows_known (see `ranks`).
        `reference`: a relation or CTE as `reference_profile` makes it, keyed by `reference_by`.
        Population stability index (the sum of (actual - expected) x ln(actual / expected) over the bins) and Jensen-Shannon divergence (bits) count an empty
        bin as one ten-thousandth, so that they stay finite; the Kolmogorov-Smirnov distance is exact, over every value.
    -#}
    {%- set keys = by | join(', ') -%}
    {%- set reference_keys = reference_by | join(', ') -%}
    with

    placed as (

        -- Where each value stands among the reference's values: the largest of these that is not above it.
        select
            {% for key in (by + reference_by) | unique %}current_counts.{{ key }},
            {% endfor -%}
            current_counts.value,
            current_counts.row_count,
            current_counts.rows_up_to,
            current_counts.rows_known,
            at_or_below.bin as bin_at_or_below,
            at_or_below.value is not null and at_or_below.value = current_counts.value as is_in_reference,
            coalesce(at_or_below.rows_up_to, 0) as reference_up_to,
            coalesce(
                at_or_below.rows_up_to - case when at_or_below.value = current_counts.value then at_or_below.row_count else 0 end, 0
            ) as reference_below
        from {{ counts }} as current_counts
        asof left join {{ reference }} as at_or_below
            on
                {%- for key in reference_by %}
                current_counts.{{ key }} = at_or_below.{{ key }} and
                {%- endfor %}
                current_counts.value >= at_or_below.value

    ),

    reference_wholes as (

        select
            {{ reference_keys }},
            any_value(is_category) as is_category,
            any_value(rows_known) as reference_known,
            sum(row_count) as reference_all
        from {{ reference }}
        group by {{ reference_keys }}

    ),

    compared as (

        select
            *,
            case
                when value is null then -1
                when is_in_reference then bin_at_or_below
                when is_category then -2
                else least({{ reference_bins() }} - 1, floor({{ reference_bins() }} * reference_up_to / nullif(reference_known, 0)))
            end as bin
        from placed
        inner join reference_wholes using ({{ reference_keys }})

    ),

    distances as (

        -- Between two neighbouring values of the window only the reference's share grows, so its largest distance is at one side of a value.
        select
            {{ keys }},
            {% for key in reference_by if key not in by %}any_value({{ key }}) as {{ key }},
            {% endfor -%}
            sum(row_count) as rows_all,
            coalesce(any_value(rows_known), 0) as rows_known,
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

    reference_bins as (

        select
            {{ reference_keys }},
            bin,
            sum(row_count) as row_count
        from {{ reference }}
        group by {{ reference_keys }}, bin

    ),

    window_bins as (

        select
            {{ keys }},
            bin,
            sum(row_count) as row_count
        from compared
        group by {{ keys }}, bin

    ),

    expected_shares as (

        select
            {% for key in by %}distances.{{ key }},
            {% endfor -%}
            reference_bins.bin,
            reference_bins.row_count / reference_wholes.reference_all as share
        from distances
        inner join reference_bins using ({{ reference_keys }})
        inner join reference_wholes using ({{ reference_keys }})

    ),

    actual_shares as (

        select
            {% for key in by %}distances.{{ key }},
            {% endfor -%}
            window_bins.bin,
            window_bins.row_count / distances.rows_all as share
        from distances
        inner join window_bins using ({{ keys }})

    ),

    shares as (

        select
            {{ keys }},
            bin,
            greatest(coalesce(expected_shares.share, 0), 1e-4) as expected,
            greatest(coalesce(actual_shares.share, 0), 1e-4) as actual
        from expected_shares
        full outer join actual_shares using ({{ keys }}, bin)

    ),

    divergences as (

        -- Bin by bin: the sum of fractions depends on the order of addition, and the same rows must give the same bytes.
        select
            {{ keys }},
            sum((actual - expected) * ln(actual / expected) order by bin) as population_stability,
            sum(
                0.5 * actual * log2(2 * actual / (actual + expected)) + 0.5 * expected * log2(2 * expected / (actual + expected))
                order by bin
            ) as jensen_shannon
        from shares
        group by {{ keys }}

    )

    select
        {{ keys }},
        distances.rows_all::bigint as decisions,
        round(1 - distances.rows_known / distances.rows_all, 6) as null_share,
        round(divergences.population_stability, 6) as population_stability,
        round(divergences.jensen_shannon, 6) as jensen_shannon,
        round(distances.kolmogorov_smirnov, 6) as kolmogorov_smirnov
    from distances
    inner join divergences using ({{ keys }})
{%- endmacro %}
