{% macro interaction_strength(column) -%}
    {#- Orders the interaction types by how strong a wish they show. -#}
    struct(
        array_position(
            array('dislike', 'view', 'click', 'like', 'purchase'), {{ column }}
        ) as strength,
        {{ column }} as interaction_type
    )
{%- endmacro %}
