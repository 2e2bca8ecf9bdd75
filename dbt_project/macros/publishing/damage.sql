{# A warehouse file that opens, and whose blocks are not what was written: found only where something reads them, in the middle of a build. #}

{% macro stop_if_damaged(results) -%}
    {#- Nothing is published from such a file, whoever's tables the damage is in; the error names the remedy. Asks the warehouse nothing: it may answer nothing any more. -#}
    {% for result in results %}
        {% set said = (result.message or '') | string %}
        {% for sign in ('Corrupt database file', 'Could not read enough bytes', 'database has been invalidated') if sign in said %}
            {{ exceptions.raise_compiler_error(
                'the warehouse is damaged (' ~ result.node.name ~ ': ' ~ sign ~ '), and nothing was published: what was published before stands. The warehouse is derived: move '
                ~ home() ~ '/warehouse.duckdb aside and build again: all in it is made anew from the landing files'
            ) }}
        {% endfor %}
    {% endfor %}
{%- endmacro %}
