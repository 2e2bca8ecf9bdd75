{% macro share(part, whole) -%}
    {#- A quotient of whole numbers, null where there is nothing to divide by; four places, so that its distinct values stay few. -#}
    round({{ part }} / nullif({{ whole }}, 0), 4)
{%- endmacro %}
