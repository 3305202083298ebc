{% macro of_this_runs_tenant(relation=none) -%}
    {#- A condition on `tenant_id` (of `relation`): true unless the run is narrowed to one tenant. -#}
    {%- set tenant_id = this_runs_tenant_id() -%}
    {%- set column = relation ~ '.tenant_id' if relation else 'tenant_id' -%}
    {{ return('true' if tenant_id is none else column ~ " = '" ~ tenant_id ~ "'") }}
{%- endmacro %}
