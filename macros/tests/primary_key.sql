{% test primary_key(model, columns, never_null=[]) -%}
    {#-
    Rows are combinations of `columns` that stand more than once (`row_count`), or of whose rows one has a null in
    a column of `never_null` (`has_null_…`). One scan for both.
    -#}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
        {%- for column in never_null %},
        bool_or({{ column }} is null) as has_null_{{ column }}
        {%- endfor %}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in never_null %}
        or bool_or({{ column }} is null)
        {%- endfor %}
{%- endtest %}
