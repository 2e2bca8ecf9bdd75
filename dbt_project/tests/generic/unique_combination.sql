{% test unique_combination(model, columns) %}
    -- Rows that share what should identify one, with how often they stand.
    select
        {{ columns | join(', ') }},
        count(*) as occurrences
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
