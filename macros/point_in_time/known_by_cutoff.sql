{% macro known_by_cutoff(column='known_at') -%}
    {#- True for rows known by the cutoff, as `column` says; without a cutoff, for all. -#}
    {%- set cutoff = var('cutoff', none) -%}
    {%- if cutoff is none -%}
        true
    {%- else -%}
        {{ column }} <= timestamp '{{ modules.datetime.datetime.fromisoformat(cutoff | string).isoformat(' ') }}'
    {%- endif -%}
{%- endmacro %}
