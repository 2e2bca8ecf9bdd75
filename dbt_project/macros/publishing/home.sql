{# Where files are, and the bookkeeping that dbt needs between runs. #}

{% macro home() -%}
    {{ return(env_var('PERENNIAL_HOME', '../var')) }}
{%- endmacro %}


{% macro prepare_home() %}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'seed', 'snapshot') %}
        {% do check_declarations() %}
        {% for folder in ['lake', 'lake/tables', 'lake/costs'] %}
            {% set path = home() ~ '/' ~ folder %}
            {% set marker = path ~ '/about_0.txt' %}
            {% if run_query("select file from glob('" ~ marker ~ "')").rows | length == 0 %}
                {# DuckDB makes a folder only for a many-file COPY; the one file says what the folder is. #}
                {% do run_query(
                    "copy (select 'Read the published tables through catalog.jsonl; a table has one file a part, the costs have one file a run.' as about) to '" ~ path
                    ~ "' (format csv, header false, per_thread_output true, filename_pattern 'about_{i}', file_extension 'txt', overwrite_or_ignore true)"
                ) %}
            {% endif %}
        {% endfor %}
        {% do run_query(
            "create table if not exists perennial_progress (model varchar primary key, file_id bigint not null, definition varchar not null)"
        ) %}
        {% do run_query(
            "create table if not exists perennial_published ("
            "model varchar, part varchar, file varchar, sha256 varchar, bytes bigint, row_count bigint, fingerprint varchar, primary key (model, part))"
        ) %}
        {% do run_query("create table if not exists perennial_checks (name varchar primary key, model varchar, status varchar, failures bigint)") %}
        {% do prepare_costs() %}
        {% do adapter.commit() %}
    {% endif %}
{% endmacro %}
