{% macro has_deleted_pair(cte, scope) -%}
    {#- A condition: the row's user and item are those of a deleted row of `cte` (see `newest_rows`). -#}
    {%- if scope.deletes -%}
        (tenant_id, user_id, item_id) in (
            select
                {{ '/*+ broadcast(' ~ cte ~ ') */ ' if scope.deletes <= var('broadcast_keys') | int }}tenant_id,
                user_id,
                item_id
            from {{ cte }}
            where is_deleted
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
