{% macro in_scope(scope, relation=none) -%}
    {#- A condition on `tenant_id` (of `relation`): true for the rows that the scope recomputes. -#}
    {%- set column = relation ~ '.tenant_id' if relation else 'tenant_id' -%}
    {%- if scope.mode == 'nothing' -%}
        false
    {%- elif scope.tenant_id is not none -%}
        {{ column }} = '{{ scope.tenant_id }}'
    {%- elif scope.mode == 'changed' -%}
        {{ column }} in ('{{ scope.tenants | join("', '") }}')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
