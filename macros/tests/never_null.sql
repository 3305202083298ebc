{% test never_null(model, columns) -%}
    {#- Rows are those of `model` in which one of `columns` is null; one scan for all of them. -#}
    select
        {%- for column in columns %}
        {{ column }} is null as has_null_{{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ model }}
    where
        {%- for column in columns %}
        {{ "or " if not loop.first }}{{ column }} is null
        {%- endfor %}
{%- endtest %}
