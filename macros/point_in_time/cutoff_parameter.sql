{% macro cutoff_parameter() -%}
    {#- What a model that reads `known_by_cutoff()` is a function of besides its inputs. -#}
    {{ return({'cutoff': var('cutoff') | string}) }}
{%- endmacro %}
