{% test one_of(model, column_name, values) -%}
    {#- Rows whose `column_name` is none of `values` (texts or numbers), by tenant. A null is left to other tests. -#}
    select
        tenant_id,
        {{ column_name }},
        count(*) as row_count
    from {{ model }}
    where {{ column_name }} not in (
        {%- for value in values -%}
            {%- if not loop.first %}, {% endif -%}
            {{ "'" ~ value ~ "'" if value is string else value }}
        {%- endfor -%}
    )
    group by tenant_id, {{ column_name }}
{%- endtest %}
