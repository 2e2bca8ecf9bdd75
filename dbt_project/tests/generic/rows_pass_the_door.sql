{% test rows_pass_the_door(model, files) %}
    -- Rows that were set aside, each with its file, its line and the reason.
    {%- set quarantined %}
        select
            files.path,
            quarantine.line_number,
            quarantine.quarantine_reason,
            quarantine.file_id
        from {{ model }} as quarantine
        left join {{ files }} as files on quarantine.file_id = files.file_id
    {%- endset %}
    {%- do name_findings("select path || ', line ' || line_number || ': ' || quarantine_reason from (" ~ quarantined ~ ") order by file_id desc, line_number") %}
    select
        path,
        line_number,
        quarantine_reason
    from ({{ quarantined }})
{% endtest %}
