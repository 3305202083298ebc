{% macro sampling_tenants() -%}
    {#-
    The tenants whose negatives are not all drawn uniformly, or ever were not, so that those who stop lose their rows;
    none where every tenant counts: in a model's fingerprint, which is of its logic alone, outside of a run and in unit
    tests. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_sampling_tenants', {}) -%}
    {%- if 'shares' not in known -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- set rows = run_query(
            "select distinct tenant_id from (select tenant_id, to_json(struct(*)) as text from "
            ~ source('ops', 'tenant_settings') ~ ") where text like '%\"negatives\":%' order by tenant_id"
        ).rows -%}
        {%- do known.update({'shares': rows | map(attribute=0) | map('string') | list}) -%}
        {%- for tenant_id in known.shares -%}{%- do checked_tenant_id(tenant_id) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(known.shares) }}
{%- endmacro %}
