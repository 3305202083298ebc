{% macro interaction_strength(column, is_own=false) -%}
    {#-
    How strong a wish an interaction type shows: its place in the tenant's declared types (joined as `settings`),
    the weakest first, with `is_own`; else, and without declared ones, among the contract's. 0: none of them.
    -#}
    {%- set usual -%}
        array('dislike', 'view', 'click', 'like', 'purchase')
    {%- endset -%}
    array_position(
        {{- 'coalesce(settings.event_types.name, ' ~ usual ~ ')' if is_own else usual }}, {{ column -}}
    )
{%- endmacro %}


{% macro type_setting(name, column) -%}
    {#- What a tenant's declaration says under `name` of the type in `column`; null without one. -#}
    get(
        settings.event_types.{{ name }},
        cast({{ interaction_strength(column, is_own=true) }} as int) - 1
    )
{%- endmacro %}
