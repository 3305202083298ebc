{% macro uses_weighted_draws() -%}
    {#-
    Whether a training set may hold weighted draws: in a run, whether a tenant has shares for some, so that
    without one nothing is joined. Not where all rows of the parents are given (`rebuild`), as in unit tests.
    -#}
    {%- if not execute or graph.get('eta_plain', {}).get(model.name) -%}{{ return(true) }}{%- endif -%}
    {%- if var('rebuild', false) -%}{{ return(false) }}{%- endif -%}
    {%- if not is_run() -%}{{ return(true) }}{%- endif -%}
    {%- set known = graph.setdefault('eta_weighted_draws', {}) -%}
    {%- if model.name not in known -%}
        {%- do known.update({model.name: load_relation(ref('weighted_negatives')) is not none and run_query(
            'select 1 from ' ~ ref('stg_tenant_settings') ~ ' where ' ~ has_weighted_shares() ~ ' limit 1'
        ).rows | length > 0}) -%}
    {%- endif -%}
    {{ return(known[model.name]) }}
{%- endmacro %}
