{% test event_type(model, column_name) -%}
    {#-
    Rows whose `column_name` is no name of an interaction type. Which types there are a tenant declares, and rows of
    a type that it no longer has stay.
    -#}
    select
        tenant_id,
        {{ column_name }}
    from {{ model }}
    where not coalesce({{ column_name }} rlike '^[a-z][a-z0-9_]{0,39}$', false)
{%- endtest %}
