{% macro type_weight(interactions, has_values) -%}
    {#-
    What a training row of an interaction weighs: its type's weight, with `has_values` times the rating divided
    by the type's scale, from 0 to 1; 1 without a rating or a scale.
    -#}
    {%- set type = interactions ~ '.interaction_type' -%}
    coalesce({{ type_setting('weight', type) }}, 1.0d)
    {%- if has_values %}
        * least(
            greatest(
                coalesce(
                    cast({{ interactions }}.rating as double) / {{ type_setting('value_scale', type) }},
                    1.0d
                ),
                0.0d
            ),
            1.0d
        )
    {%- endif -%}
{%- endmacro %}
