{# A decision's key as text. `ml_assets/lake/decision_keys.py` spells it the same way, and a test holds both to it. #}

{% macro decision_key(node, names) -%}
    {%- set texts = [] -%}
    {%- for name in names -%}
        {%- do texts.append("coalesce(" ~ key_text(name, node.columns[name].data_type or '') ~ ", '')") -%}
    {%- endfor -%}
    {{ return('(' ~ texts | join(" || '|' || ") ~ ')') }}
{%- endmacro %}


{% macro key_text(name, data_type) -%}
    {%- set kind = data_type | lower | trim -%}
    {%- if kind in ('timestamp', 'timestamp without time zone', 'datetime') -%}
        {{ return(moment_text(name)) }}
    {%- elif kind in ('timestamptz', 'timestamp with time zone') -%}
        {{ return(moment_text("(" ~ name ~ " at time zone 'UTC')")) }}
    {%- elif kind.split('(')[0] in ('varchar', 'text', 'string', 'char', 'enum') -%}
        {{ return("replace(replace(cast(" ~ name ~ " as varchar), '\\', '\\\\'), '|', '\\|')") }}
    {%- else -%}
        {{ return("cast(" ~ name ~ " as varchar)") }}
    {%- endif -%}
{%- endmacro %}


{% macro moment_text(moment) -%}
    {{ return(
        "case when microsecond(" ~ moment ~ ") % 1000000 = 0 then strftime(" ~ moment ~ ", '%Y-%m-%d %H:%M:%S')"
        ~ " else strftime(" ~ moment ~ ", '%Y-%m-%d %H:%M:%S.%f') end"
    ) }}
{%- endmacro %}
