{% macro merged() -%}
    {#- One mapping with the entries of all that are given, in their order. -#}
    {%- set found = {} -%}
    {%- for mapping in varargs -%}{%- do found.update(mapping) -%}{%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
