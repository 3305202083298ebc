{% macro tenant_setting(name) -%}
    {#- A tenant's setting (joined as `settings`), else the project's variable of that name. -#}
    {%- set value = var(name) -%}
    coalesce(
        settings.{{ name }},
        {%- if value is string or value is number %} {{ value | int }}
        {%- else %} array({% for entry in value %}'{{ checked_interaction_type(entry) }}'{{ ", " if not loop.last }}{% endfor %})
        {%- endif -%}
    )
{%- endmacro %}


{% macro checked_interaction_type(name) -%}
    {%- if name not in ['view', 'click', 'purchase', 'like', 'dislike'] -%}
        {%- do exceptions.raise_compiler_error(
            "'" ~ name ~ "' is not an interaction type: use view, click, purchase, like or dislike"
        ) -%}
    {%- endif -%}
    {{ return(name) }}
{%- endmacro %}
