{% macro of_evaluated_tenants(relation=none) -%}
    {#- A condition on `tenant_id` (of `relation`): true for the tenants that this run evaluates. -#}
    {%- set tenants = evaluation_requests() | map(attribute='tenant_id') | list -%}
    {%- set column = relation ~ '.tenant_id' if relation else 'tenant_id' -%}
    {{ return(column ~ " in ('" ~ tenants | join("', '") ~ "')" if tenants else 'false') }}
{%- endmacro %}
