{% macro clickstream_tenants(scope=none) -%}
    {#-
    The tenants (of `scope`) that map events of their clickstream, or ever did; none where every tenant counts:
    in a model's fingerprint, which is of its logic alone, outside of a run and in unit tests. Where nobody
    does, no row of the clickstream is read. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if 'eta_clickstream_tenants' not in graph -%}
        {%- set found = [] -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for row in run_query(
            "select distinct tenant_id from (select tenant_id, to_json(struct(*)) as text from "
            ~ source('ops', 'tenant_settings') ~ ") where text like '%\"clickstream\":%' order by tenant_id"
        ).rows -%}
            {%- do found.append(checked_tenant_id(row[0])) -%}
        {%- endfor -%}
        {%- do graph.update({'eta_clickstream_tenants': found}) -%}
    {%- endif -%}
    {%- set found = graph.eta_clickstream_tenants -%}
    {%- if scope and scope.tenant_id is not none -%}
        {{ return(found | select('equalto', scope.tenant_id) | list) }}
    {%- elif scope and scope.mode in ['changed', 'rewrite', 'nothing'] -%}
        {{ return(found | select('in', scope.tenants) | list) }}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}


{% macro of_clickstream_tenants(tenants) -%}
    {#- A condition: the row is of one of these tenants; see `clickstream_tenants`. -#}
    {%- if tenants is none -%}{{ return('true') }}{%- endif -%}
    {{ return("tenant_id in ('" ~ tenants | join("', '") ~ "')" if tenants else 'false') }}
{%- endmacro %}
