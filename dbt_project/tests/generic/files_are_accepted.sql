{% test files_are_accepted(model) %}
    -- Files that the door stopped, with the reason; a file that was put right under its own name is forgiven.
    {%- set rejected %}
        select * from {{ model }}
        qualify row_number() over (partition by path order by file_id desc) = 1 and status = 'rejected'
    {%- endset %}
    {%- do name_findings("select path || ': ' || reason from (" ~ rejected ~ ") order by file_id desc") %}
    select
        path,
        reason
    from ({{ rejected }})
{% endtest %}
