{% test rows_are_accounted_for(model, files) %}
    -- Accepted files of the domain of which some line is neither staged nor quarantined, or is both. The door counted the lines before anyone split them.
    with

    intake as (

        select
            file_id,
            sum(staged_rows) as staged_rows,
            sum(quarantined_rows) as quarantined_rows
        from {{ model }}
        group by file_id

    ),

    accepted as (

        select * from {{ files }}
        where status = 'accepted' and {{ is_of_domain_of_tested() }}

    )

    select
        accepted.path,
        accepted.data_lines as landed_rows,
        intake.staged_rows,
        intake.quarantined_rows
    from accepted
    full join intake on accepted.file_id = intake.file_id
    where accepted.data_lines is distinct from intake.staged_rows + intake.quarantined_rows
{% endtest %}
