{#
    Write, audit, publish. dbt has built the tables and run their tests; what passed is now written as Parquet, one file a part, named for its rows, and the
    catalog is replaced in one rename. Until then readers see what was published before, and they see all tables change at once.
    A part whose rows are the same is not written again: publishing costs what is new.
#}

{% macro domains_of_result(node) -%}
    {#- The domains whose tables a result speaks of: a model's own, of a test those of the models that it looks at. -#}
    {% set holders = [node] %}
    {% if node.resource_type in ('test', 'unit_test') %}
        {% set holders = [] %}
        {% for unique_id in ([node.attached_node] if node.attached_node else node.depends_on.nodes) if unique_id in graph.nodes %}
            {% do holders.append(graph.nodes[unique_id]) %}
        {% endfor %}
    {% endif %}
    {% set domains = [] %}
    {% for holder in holders %}{% do domains.append(domain_of(holder)) %}{% endfor %}
    {{ return(domains | unique | list or ['core']) }}
{%- endmacro %}


{% macro publishable(results) -%}
    {#- Public models that this invocation built or tested, domain by domain: none of a domain's if anything of it failed. Its readers see all of a state or the one
        before, and other domains go on. What belongs to no domain is one more. -#}
    {% set touched = [] %}
    {% set spoiled = {} %}
    {% for result in results %}
        {% if result.status | string not in ('success', 'pass', 'warn', 'no-op') %}
            {% for domain in domains_of_result(result.node) %}
                {% do spoiled.setdefault(domain, []).append(result.node.name) %}
            {% endfor %}
        {% elif result.node.resource_type == 'model' %}
            {% do touched.append(result.node.unique_id) %}
        {% elif result.node.resource_type in ('test', 'unit_test') %}
            {% do touched.extend(result.node.depends_on.nodes) %}
        {% endif %}
    {% endfor %}
    {% set by_domain = {} %}
    {% for unique_id in touched | unique | sort %}
        {% set node = graph.nodes.get(unique_id) %}
        {% if node and node.resource_type == 'model' and node.config.access == 'public' and domain_of(node) not in spoiled %}
            {% do by_domain.setdefault(domain_of(node), []).append(node) %}
        {% endif %}
    {% endfor %}
    {% set publishable = [] %}
    {% for domain, models in by_domain.items() %}
        {% set open = unanswered_tests(models, results) %}
        {% if open %}
            {% do log('Nothing published of ' ~ domain ~ ': no good answer of ' ~ open | sort | join(', ') ~ '; mend what they found, then dbt build', info=true) %}
        {% else %}
            {% do publishable.extend(models) %}
        {% endif %}
    {% endfor %}
    {% for domain, names in spoiled.items() %}
        {% do log('Nothing published of ' ~ domain ~ ': ' ~ names[0] ~ (' and ' ~ (names | length - 1) ~ ' more' if names | length > 1 else '') ~ ' did not pass', info=true) %}
    {% endfor %}
    {{ return(publishable) }}
{%- endmacro %}


{% macro unanswered_tests(models, results) -%}
    {#- Tests of these models, and of all that they are made from, that warrant for nothing: their latest answer, in this invocation or an earlier one, is no;
        or their model was built just now without them. What failed stays in the warehouse, and what is built on it alone would pass its own tests. -#}
    {% set trusted = {} %}
    {% for node in models %}
        {% do trusted.update({node.unique_id: node.name}) %}
        {% do upstream_models(node.unique_id, trusted) %}
    {% endfor %}
    {% set failed = run_query("select name from perennial_checks where status not in ('pass', 'warn')").columns[0].values() %}
    {% set answered = results | map(attribute='node.unique_id') | list %}
    {% set open = [] %}
    {% for test in graph.nodes.values() if test.resource_type == 'test' %}
        {% set holders = [test.attached_node] if test.attached_node else test.depends_on.nodes %}
        {% set is_theirs = holders | select('in', trusted) | list | length > 0 %}
        {% set is_left_out = test.attached_node in answered and test.unique_id not in answered and test.config.severity | lower == 'error' %}
        {% if is_theirs and (test.name in failed or is_left_out) %}
            {% do open.append(test.name) %}
        {% endif %}
    {% endfor %}
    {{ return(open) }}
{%- endmacro %}


{% macro part_name(node) -%}
    {#- SQL for the part that a row is published in: the month (2013-10) or year (2013) of the column `by` of config.meta.publish, 'none' where that is null; or 'all'. -#}
    {% set settings = node.config.meta.get('publish', {}) %}
    {% set by = settings.get('by') %}
    {% set part = settings.get('part', 'month' if by else 'none') %}
    {% set known = settings.keys() | reject('in', ['by', 'part', 'order_by']) | list == [] %}
    {% if not known or part not in ('month', 'year', 'none') or (by is none and part != 'none') %}
        {{ exceptions.raise_compiler_error(
            node.original_file_path ~ ': ' ~ node.name ~ ': config.meta.publish: found ' ~ settings
            ~ '; it takes by: <column> with part: month, year or none (one part in all), and order_by: [<columns>]'
        ) }}
    {% endif %}
    {% if part == 'none' %}{{ return("'all'") }}{% endif %}
    {{ return("coalesce(strftime(" ~ by ~ ", '" ~ ('%Y-%m' if part == 'month' else '%Y') ~ "'), 'none')") }}
{%- endmacro %}


{% macro publish_parts(node) -%}
    {#- Writes the parts of one model that changed; returns [how many, their rows, their bytes]. -#}
    {% set settings = node.config.meta.get('publish', {}) %}
    {% set relation = adapter.get_relation(node.database, node.schema, node.alias) %}
    {% if relation is none %}{{ return([0, 0, 0]) }}{% endif %}
    {% set part = part_name(node) %}
    {% set is_parted = part != "'all'" %}
    {% set signature = [] %}
    {% for column in adapter.get_columns_in_relation(relation) %}
        {% do signature.append(column.name ~ ' ' ~ column.dtype) %}
    {% endfor %}
    {% set rows = run_query(
        "with rows as (select * from " ~ relation ~ "), "
        ~ "parts as (select " ~ part ~ " as part, count(*) as row_count, "
        ~ "left(md5('" ~ (signature | join(',')) ~ "' || count(*) || '/' || coalesce(sum(hash(rows)::hugeint), 0)), 16) as fingerprint "
        ~ "from rows " ~ ("group by 1" if is_parted else "") ~ "), "
        ~ "wanted as (select part, row_count, fingerprint, 'tables/" ~ node.name ~ ".' || part || '.' || fingerprint || '.parquet' as file from parts), "
        ~ "present as (select parse_filename(filename) as name, size from read_blob('" ~ home() ~ "/lake/tables/" ~ node.name ~ ".*.parquet')) "
        ~ "select wanted.part, wanted.row_count, wanted.fingerprint, wanted.file from wanted "
        ~ "left join perennial_published as published on published.model = '" ~ node.name ~ "' and published.part = wanted.part "
        ~ "and published.fingerprint = wanted.fingerprint and (parse_filename(published.file), published.bytes) in (select (name, size) from present) "
        ~ "where published.part is null order by 1"
    ).rows %}
    {# DuckDB declares a column as required where a table's statistics, and so its history, exclude nulls; what comes out of an outer join is always optional. #}
    {% set names = [] %}
    {% for row in rows %}
        {% do names.append(row[0]) %}
        {% do run_query(
            "copy (select rows.* from (select 1) as one left join (select * from " ~ relation
            ~ (" where " ~ part ~ " = '" ~ row[0] ~ "'" if is_parted else "") ~ ") as rows on true"
            ~ " order by " ~ (settings.get('order_by', ['all']) | join(', ')) ~ (" limit 0" if row[1] == 0 else "")
            ~ ") to '" ~ home() ~ "/lake/" ~ row[3]
            ~ "' (format parquet, compression zstd, use_tmp_file true)"
        ) %}
        {% do run_query(
            "insert or replace into perennial_published select '" ~ node.name ~ "', '" ~ row[0] ~ "', '" ~ row[3] ~ "', sha256(content), size, "
            ~ row[1] ~ ", '" ~ row[2] ~ "' from read_blob('" ~ home() ~ "/lake/" ~ row[3] ~ "')"
        ) %}
    {% endfor %}
    {% if is_parted %}
        {% do run_query(
            "delete from perennial_published where model = '" ~ node.name ~ "' and part not in (select distinct " ~ part ~ " from " ~ relation ~ ")"
        ) %}
    {% endif %}
    {% set written = run_query(
        "select coalesce(sum(row_count), 0), coalesce(sum(bytes), 0) from perennial_published where model = '" ~ node.name
        ~ "' and part in (select unnest(" ~ sql_list(names) ~ "::varchar[]))"
    ).rows[0] if names else [0, 0] %}
    {{ return([names | length, written[0], written[1]]) }}
{%- endmacro %}


{% macro write_catalog() -%}
    {#- Replaces the catalog in one rename, and only if it would say something else. -#}
    {% set public = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.access == 'public' %}
        {% do public.append(node.name) %}
    {% endfor %}
    {% do run_query("delete from perennial_published where model not in (select unnest(" ~ sql_list(public) ~ "::varchar[]))") %}
    {% set catalog = home() ~ '/lake/catalog.jsonl' %}
    {% set wanted %}
        select model as "table", part, file, sha256, bytes, row_count as "rows", fingerprint from perennial_published
    {% endset %}
    {% set columns = "columns = {'table': 'varchar', 'part': 'varchar', 'file': 'varchar', 'sha256': 'varchar', 'bytes': 'bigint', 'rows': 'bigint', 'fingerprint': 'varchar'}" %}
    {% set is_same = false %}
    {% if run_query("select file from glob('" ~ catalog ~ "')").rows | length == 1 %}
        {% set standing = "select * from read_json('" ~ catalog ~ "', format = 'newline_delimited', ignore_errors = true, " ~ columns ~ ")" %}
        {% set is_same = run_query(
            "select count(*) from ((" ~ wanted ~ " except all " ~ standing ~ ") union all (" ~ standing ~ " except all " ~ wanted ~ "))"
        ).rows[0][0] == 0 %}
    {% endif %}
    {% if not is_same %}
        {% do run_query("copy (" ~ wanted ~ " order by 1, 2) to '" ~ catalog ~ "' (format json, use_tmp_file true)") %}
    {% endif %}
{%- endmacro %}


{% macro record_checks(results) -%}
    {#- The latest answer of every test, whoever ran it, for people and for `perennial status`. -#}
    {% set rows = [] %}
    {% for result in results if result.node.resource_type == 'test' %}
        {% do rows.append("('" ~ result.node.name ~ "', '" ~ (result.node.attached_node or '').split('.')[-1] ~ "', '" ~ result.status ~ "', "
            ~ (result.failures if result.failures is not none else 'null') ~ ")") %}
    {% endfor %}
    {% if rows %}
        {% do run_query("insert or replace into perennial_checks values " ~ rows | join(', ')) %}
    {% endif %}
    {% set tests = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'test' %}{% do tests.append(node.name) %}{% endfor %}
    {% do run_query("delete from perennial_checks where name not in (select unnest(" ~ sql_list(tests) ~ "::varchar[]))") %}
    {% do run_query(
        "copy (select * from perennial_checks order by name) to '" ~ home() ~ "/lake/checks.jsonl' (format json, use_tmp_file true)"
    ) %}
{%- endmacro %}


{% macro publish(results) %}
    {% do stop_if_damaged(results) %}
    {% if execute and flags.WHICH in ('build', 'test') %}
        {% do record_checks(results) %}
        {% set count = namespace(parts=0, tables=0) %}
        {% set published = {} %}
        {% for node in publishable(results) %}
            {% set written = publish_parts(node) %}
            {% set count.parts = count.parts + written[0] %}
            {% set count.tables = count.tables + (1 if written[0] else 0) %}
            {% do published.update({node.name: written[1:]}) %}
        {% endfor %}
        {# What a hook does while it is rendered is rolled back unless it is committed here. #}
        {% do adapter.commit() %}
        {% do write_catalog() %}
        {% do adapter.commit() %}
        {% do record_costs(results, published) %}
        {% do log('Published ' ~ count.parts ~ ' changed parts of ' ~ count.tables ~ ' tables', info=true) %}
    {% elif execute and flags.WHICH == 'run' %}
        {% do record_costs(results, {}) %}
        {% do log('Nothing published: dbt run does not test what it builds; use dbt build, or dbt test after this', info=true) %}
    {% endif %}
{% endmacro %}
