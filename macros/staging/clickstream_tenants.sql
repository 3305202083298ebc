{% macro clickstream_tenants(
    scope=none, with_impressions=false, with_identity=false, with_shown_negatives=false
) -%}
    {#-
    The tenants (of `scope`) that map events of their clickstream, or ever did, `with_impressions` those that have
    these among them, `with_identity` those that tie anonymous ids to users, `with_shown_negatives` those that take
    negatives from impressions; none where every tenant counts:
    in a model's fingerprint, which is of its logic alone, outside of a run and in unit tests. Where nobody
    does, no row of the clickstream is read. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_clickstream_tenants', {}) -%}
    {%- if not known -%}
        {%- do known.update({'all': [], 'with_impressions': [], 'with_identity': [], 'with_shown_negatives': []}) -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for tenant_id, has_impressions, has_identity, has_shown_negatives in run_query(
            "select tenant_id, max(text like '%click_window_us%'), max(text like '%untie_events%'), max(text like '%shown_negatives%') from (select tenant_id, to_json(struct(*)) as text from "
            ~ source('ops', 'tenant_settings') ~ ") where text like '%\"clickstream\":%' group by tenant_id order by tenant_id"
        ).rows -%}
            {%- do known.all.append(checked_tenant_id(tenant_id)) -%}
            {%- if has_impressions -%}{%- do known.with_impressions.append(tenant_id) -%}{%- endif -%}
            {%- if has_identity -%}{%- do known.with_identity.append(tenant_id) -%}{%- endif -%}
            {%- if has_shown_negatives -%}{%- do known.with_shown_negatives.append(tenant_id) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tenants_of_scope(
        known.with_shown_negatives if with_shown_negatives else known.with_identity if with_identity else known.with_impressions if with_impressions else known.all, scope
    )) }}
{%- endmacro %}


{% macro of_clickstream_tenants(tenants) -%}
    {#- A condition: the row is of one of these tenants; see `clickstream_tenants`. -#}
    {%- if tenants is none -%}{{ return('true') }}{%- endif -%}
    {{ return("tenant_id in ('" ~ tenants | join("', '") ~ "')" if tenants else 'false') }}
{%- endmacro %}
