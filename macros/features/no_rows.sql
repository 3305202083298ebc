{% macro no_rows(name, types) -%}
    {#- CTE `name`: no row, with these columns; where nobody asks for what it would hold. -#}
{{ name }} as (
    select
        {%- for column, type in types.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where false
)
{%- endmacro %}


{% macro negatives_of_nobody(name, more) -%}
    {#- The same of negatives: what all have, and `more`. -#}
    {{- no_rows(name, merged({
        'tenant_id': 'string',
        'user_id': 'string',
        'item_id': 'string',
        'positive_item_id': 'string',
        'draw_index': 'int',
        'eligible_count': 'bigint',
        'type_weight': 'double',
        'sampling_probability': 'double',
        'event_time': 'timestamp'
    }, more)) -}}
{%- endmacro %}
