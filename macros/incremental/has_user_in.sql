{% macro has_user_in(cte, scope) -%}
    {#- In a run by changes, a condition: the row's user has a row in `cte`. Else `cte` has all. -#}
    {%- set are_few = scope.is_small and not scope.since and not scope.whole -%}
    {%- if scope.mode == 'changed' -%}
        (tenant_id, user_id) in (
            select {{ '/*+ broadcast(' ~ cte ~ ') */ ' if are_few }}distinct
                tenant_id,
                user_id
            from {{ cte }}
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
