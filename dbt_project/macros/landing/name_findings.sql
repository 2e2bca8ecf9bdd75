{% macro name_findings(query) -%}
    {#- Says in the build's own output what a test is about to count: a number alone sends people to search. `query`: one column of text. -#}
    {% if execute and flags.WHICH in ('build', 'test') %}
        {% set found = run_query('select * from (' ~ query ~ ') limit 6').rows %}
        {% for row in found[:5] %}{% do log('  ' ~ row[0], info=true) %}{% endfor %}
        {% if found | length > 5 %}{% do log('  and more: see ' ~ model.refs | map(attribute='name') | join(', '), info=true) %}{% endif %}
    {% endif %}
{%- endmacro %}
