{% macro known_by_cutoff() -%}
    {#- True for rows known by the cutoff; without a cutoff, for all. -#}
    {%- set cutoff = var('cutoff', none) -%}
    {%- if cutoff is none -%}
        true
    {%- else -%}
        known_at <= timestamp '{{ modules.datetime.datetime.fromisoformat(cutoff | string).isoformat(' ') }}'
    {%- endif -%}
{%- endmacro %}
