{% macro flight_id() -%}
    {#- The natural key of a flight as one readable text: flight 15 of UA leaves EWR and LGA on one day. -#}
    strftime(flight_date, '%Y-%m-%d') || '_' || carrier || '_' || flight || '_' || origin
{%- endmacro %}
