{# The door as the models ask it. What it does is Python (plugins/landing_door.py): DuckDB reads `[`, `*` and `?` in a file's name as a pattern. #}

{% macro landing_sources() -%}
    {#- Declared landing tables by 'feed/table', from the sources' own YAML. -#}
    {% set found = {} %}
    {% if execute %}
        {% for source in graph.sources.values() if source.config.meta.get('landing') or source.meta.get('landing') %}
            {% do found.update({source.source_name ~ '/' ~ source.name: source}) %}
        {% endfor %}
    {% endif %}
    {{ return(found) }}
{%- endmacro %}


{% macro sql_list(values) -%}
    [{%- for value in values %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}]
{%- endmacro %}


{% macro literal_path(path) -%}
    {#- A path that DuckDB takes for itself and not for a pattern. -#}
    {{ return(path | replace('[', '\x00') | replace('*', '[*]') | replace('?', '[?]') | replace('{', '[{]') | replace('\x00', '[[]')) }}
{%- endmacro %}


{% macro look_at_landing() -%}
    {#- Has every landing file judged that no earlier run has seen, and the judgement written into the landing log. -#}
    {% if execute and flags.WHICH in ('build', 'run') %}
        {% set standing = load_relation(this) %}
        {% set declared = {} %}
        {% set unread = [] %}
        {% for name, source in landing_sources().items() %}
            {% do declared.update({name: source.columns.values() | map(attribute='name') | join(',')}) %}
            {% set bases = base_models_of(source) %}
            {% set base = adapter.get_relation(this.database, this.schema, bases[0]) if bases else none %}
            {% if standing and base %}
                {% do unread.append(
                    "select file_id from " ~ standing ~ " where status = 'accepted' and data_lines > 0 and feed = '" ~ source.source_name ~ "' and table_name = '"
                    ~ source.name ~ "' and file_id > (select coalesce(max(file_id), 0) from " ~ base ~ ")"
                ) %}
            {% endif %}
        {% endfor %}
        {% set request = {
            'home': home(),
            'declared': declared,
            'largest': var('landing_max_file_bytes') | int,
            'read_through': run_query('select coalesce(max(batch_id), 0) from ' ~ standing).rows[0][0] | int if standing else 0,
            'unread': run_query(unread | join(' union all ')).columns[0].values() | map('int') | list if unread else [],
            'withdraw_lost': var('withdraw_lost_files', false) | as_bool,
        } %}
        {% set answer = fromjson(run_query("select look_at_landing('" ~ tojson(request) | replace("'", "''") ~ "')").rows[0][0]) %}
        {% if answer.error %}
            {{ exceptions.raise_compiler_error(answer.error) }}
        {% endif %}
        {% for path in answer.unsettled %}
            {% do log('  ' ~ path ~ ' is still being written: it is looked at again by the next build', info=true) %}
        {% endfor %}
    {% endif %}
{%- endmacro %}


{% macro landing_log_lines() -%}
    {#- SQL: the landing log, one row a finding, in the order in which it was written. -#}
    {%- set columns = {
        'kind': 'varchar', 'batch': 'bigint', 'arrived_at': 'timestamp', 'file_id': 'bigint', 'feed': 'varchar', 'table_name': 'varchar', 'path': 'varchar', 'bytes': 'bigint',
        'modified_at': 'timestamp', 'sha256': 'varchar', 'data_lines': 'bigint', 'status': 'varchar', 'reason': 'varchar',
    } -%}
    {%- set pattern = literal_path(home()) ~ '/landing_log/[0-9]*.jsonl' -%}
    {%- if execute and run_query("select file from glob('" ~ pattern | replace("'", "''") ~ "') limit 1").rows | length -%}
        select * from read_json('{{ pattern | replace("'", "''") }}', format = 'newline_delimited', columns = {
            {%- for name, type in columns.items() %}'{{ name }}': '{{ type }}'{{ ', ' if not loop.last }}{% endfor -%}
        })
    {%- else -%}
        select
            {%- for name, type in columns.items() %}
            null::{{ type }} as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        where false
    {%- endif -%}
{%- endmacro %}
