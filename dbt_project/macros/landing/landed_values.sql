{# One value of a landed line: in the type that its source declares, or what is wrong with it. #}

{% macro landed_kind(column) -%}
    {#- How a declared type is written in a file: text, whole, decimal, date, moment or truth. -#}
    {%- set type = (column.data_type or '') | lower -%}
    {%- if type in ('varchar', 'text', 'string') -%}{{ return('text') }}{%- endif -%}
    {%- if type in ('tinyint', 'smallint', 'integer', 'int', 'bigint', 'hugeint') -%}{{ return('whole') }}{%- endif -%}
    {%- if type in ('double', 'float', 'real') or type.startswith('decimal') or type.startswith('numeric') -%}{{ return('decimal') }}{%- endif -%}
    {%- if type == 'date' -%}{{ return('date') }}{%- endif -%}
    {%- if type in ('timestamp', 'datetime') -%}{{ return('moment') }}{%- endif -%}
    {%- if type in ('boolean', 'bool') -%}{{ return('truth') }}{%- endif -%}
    {{ exceptions.raise_compiler_error(
        'column ' ~ column.name ~ ': data_type: found ' ~ (column.data_type or 'nothing')
        ~ '; write varchar, integer, bigint, double, decimal(p, s), date, timestamp or boolean'
    ) }}
{%- endmacro %}


{% macro landed_pattern(kind) -%}
    {#- The whole of a value, as a regular expression: a cast alone takes 15e-1 for 2, 0x10 for 16, 1_0 for 10 and a time that was cut off for an earlier one. -#}
    {{ return({
        'whole': '[+-]?[0-9]+(\\.0+)?',
        'decimal': '[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]{1,3})?',
        'date': '[0-9]{4}-[0-9]{2}-[0-9]{2}',
        'moment': '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?',
    }[kind]) }}
{%- endmacro %}


{% macro landed_words(column) -%}
    {#- The words of a boolean: `config.meta.words`, or true and false; the case does not matter. -#}
    {%- set words = landed_meta(column).get('words', {}) -%}
    {{ return({
        'true': words.get('true', words.get(true, ['true'])) | map('string') | map('lower') | list,
        'false': words.get('false', words.get(false, ['false'])) | map('string') | map('lower') | list,
    }) }}
{%- endmacro %}


{% macro landed_meta(declared) -%}
    {{ return(declared.config.meta if declared.config and declared.config.meta else declared.meta) }}
{%- endmacro %}


{% macro landed_value(column) -%}
    {#- SQL for a value in its declared type, null if it is none. A moment with an offset is brought to UTC: a plain cast drops the offset. -#}
    {%- set kind = landed_kind(column) -%}
    {%- set raw = 'raw.' ~ column.name -%}
    {%- if kind == 'text' -%}
        {{ raw }}
    {%- elif kind == 'truth' -%}
        case
            when lower({{ raw }}) in (select unnest({{ sql_list(landed_words(column).true) }})) then true
            when lower({{ raw }}) in (select unnest({{ sql_list(landed_words(column).false) }})) then false
        end
    {%- else -%}
        case
            when regexp_full_match({{ raw }}, '{{ landed_pattern(kind) }}')
                then {{ "timezone('UTC', try_cast(" ~ raw ~ " as timestamptz))" if kind == 'moment' else 'try_cast(' ~ raw ~ ' as ' ~ column.data_type ~ ')' }}
        end
    {%- endif -%}
{%- endmacro %}


{% macro landed_column_problem(column, key, known_at) -%}
    {#- SQL for the first thing wrong with one value, or null. `column` is the source's declaration; its text is `raw.<name>`, its value `typed.<name>`. -#}
    {%- set meta = landed_meta(column) -%}
    {%- set kind = landed_kind(column) -%}
    {%- set raw = 'typed.raw_' ~ column.name -%}
    {%- set value = 'typed.' ~ column.name -%}
    {%- set said = "'" ~ column.name ~ " ' || left(" ~ raw ~ ", 40) || '" -%}
    case
        {%- if meta.get('required') %}
        when {{ raw }} is null then '{{ column.name }} is missing'
        {%- endif %}
        {%- if kind != 'text' %}
        when {{ raw }} is not null and {{ value }} is null then {{ said }} is not {{ column.data_type }}'
        {%- elif column.name in key %}
        when regexp_matches({{ raw }}, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{00A0}]') then '{{ column.name }} holds a character that cannot be seen'
        {%- endif %}
        {%- if column.data_type | lower in ('double', 'float', 'real') %}
        when not isfinite({{ value }}) then {{ said }} is not finite'
        {%- endif %}
        {%- if kind in ('date', 'moment') %}
        when year({{ value }}) not between 1900 and 2200 then {{ said }} lies outside the years 1900 to 2200'
        {%- endif %}
        {%- if meta.get('format') == 'hhmm' %}
        when {{ value }} not between 0 and 2400 or {{ value }} % 100 > 59 then {{ said }} is no clock time (hhmm)'
        {%- elif meta.get('format') %}
        {{ exceptions.raise_compiler_error('column ' ~ column.name ~ ': config.meta.format: found ' ~ meta.format ~ '; the one format that there is is hhmm') }}
        {%- endif %}
        {%- if meta.get('minimum') is not none %}
        when {{ value }} < {{ meta.minimum }} then {{ said }} is below {{ meta.minimum }}'
        {%- endif %}
        {%- if meta.get('maximum') is not none %}
        when {{ value }} > {{ meta.maximum }} then {{ said }} is above {{ meta.maximum }}'
        {%- endif %}
        {%- if meta.get('accepted') %}
        when {{ raw }} not in ({% for item in meta.accepted %}'{{ item | string | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %})
            then {{ said }} is not one of {{ meta.accepted | join(", ") | replace("'", "''") }}'
        {%- endif %}
        {%- if meta.get('not_before') %}
        when {{ value }} < typed.{{ meta.not_before }} then {{ said }} is before {{ meta.not_before }} ' || typed.raw_{{ meta.not_before }}
        {%- endif %}
        {%- if meta.get('not_after') %}
        when {{ value }} > typed.{{ meta.not_after }} then {{ said }} is after {{ meta.not_after }} ' || typed.raw_{{ meta.not_after }}
        {%- endif %}
        {%- if column.name == known_at %}
        when {{ value }} > typed.arrived_at + interval 1 day then {{ said }} lies in the future: it arrived at ' || strftime(typed.arrived_at, '%Y-%m-%d %H:%M')
        {%- elif meta.get('furthest') and known_at %}
        when abs(epoch({{ value }}::timestamp) - epoch(typed.{{ known_at }}::timestamp)) > epoch(interval '{{ meta.furthest }}')
            then {{ said }} is more than {{ meta.furthest }} away from {{ known_at }} ' || typed.raw_{{ known_at }}
        {%- endif %}
        when false then ''
    end
{%- endmacro %}
