{% macro with_tombstones(cte, scope, key, since=none, kept=none) -%}
    {#-
    The final select of a `__this_run` model: what has to change in the table. Rows of `cte` that
    the table lacks or holds with other values have `is_current` true; keys in scope that the table
    holds and `cte` no longer has come with `is_current` null. `is_held` says whether the table has
    the key. Unchanged rows are left out here, because a merge rewrites every file that a source row
    matches, changed or not. `kept` is a condition on rows of the table (as `held`) that stay as they
    are, whatever became of them in the parents. In the mode `rewrite` `cte` is all there is to be.
    -#}
    {{ scope_comment(scope) }}
    {%- if scope.target is none or scope.mode in ['nothing', 'rewrite'] %}
    select *, true as is_current, false as is_held from {{ cte }}
    {%- else %}
    {%- set columns = adapter.get_columns_in_relation(scope.target) | map(attribute='name') %}
    {%- set values = columns | reject('in', key) | join(', ') %}
    select * except (held_values{{ ', is_kept' if kept }}), held_values is not null as is_held
    from (select *, true as is_current from {{ cte }})
    full outer join (
        select {{ key | join(', ') }}, struct({{ values or 'true' }}) as held_values
            {%- if kept %}, {{ kept }} as is_kept{% endif %}
        from {{ scope.target }} as held
        where {{ in_scope(scope, 'held', since=since) }}
    ) using ({{ key | join(', ') }})
    where
        {% if kept %}not coalesce(is_kept, false) and {% endif -%}
        (
            is_current is null
            or held_values is null
            {%- if values %}
            or not (held_values <=> struct({{ values }}))
            {%- endif %}
        )
    {%- endif %}
{%- endmacro %}


{% macro scope_comment(scope) -%}
    {#- Tells the materialization what the scope was. -#}
    /* eta {{ tojson({
        'mode': scope.mode, 'from': scope['from'], 'to': scope.to, 'held': scope.held,
        'read': scope.read, 'tenants': scope.tenants, 'tenant_id': scope.tenant_id,
        'parameters': scope.parameters,
    }) }} */
{%- endmacro %}
