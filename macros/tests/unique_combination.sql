{% test unique_combination(model, columns) -%}
    {#- Rows are combinations of `columns` that stand more than once. -#}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{%- endtest %}
