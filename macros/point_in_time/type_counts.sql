{% macro type_counts(window=none) -%}
    {#- A count for each interaction type; over `window` if one is named. -#}
    {%- for type in ['view', 'click', 'like', 'purchase', 'dislike'] %}
        count_if(interaction_type = '{{ type }}')
        {{- ' over ' ~ window if window }} as {{ type }}_count{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
