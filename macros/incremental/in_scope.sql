{% macro in_scope(scope, relation=none) -%}
    {#-
    A condition on the rows (of `relation`) that the scope recomputes: their tenant, and in a run by
    changes what those touch.
    -#}
    {%- set dot = relation ~ '.' if relation else '' -%}
    {%- set tenants = in_tenants(scope, relation) -%}
    {%- if scope.mode != 'changed' or (scope.whole == scope.tenants and not scope.touched) -%}
        {{ return(tenants) }}
    {%- endif -%}
    {%- if scope.touched -%}
        {{ return(tenants ~ ' and ' ~ is_of_touched_user(scope, relation)) }}
    {%- endif -%}
    {%- set touched = [] -%}
    {%- for columns, feeds in scope.feeds | groupby('columns') -%}
        {%- do touched.append(
            is_in_feeds(dot, columns, feeds | map(attribute='select') | list, scope)
        ) -%}
    {%- endfor -%}
    {%- if scope.whole -%}
        {%- do touched.append(dot ~ "tenant_id in ('" ~ scope.whole | join("', '") ~ "')") -%}
    {%- endif -%}
    {{ return(
        tenants ~ ' and (' ~ (touched or ['false']) | join(' or ') ~ ')'
    ) }}
{%- endmacro %}


{% macro is_of_touched_user(scope, relation=none) -%}
    {#- A condition: the row's user is touched. By hash: who shares a touched user's is recomputed too. -#}
    {{ relation ~ '.' if relation }}user_hash in (
        select {{ '/*+ broadcast(touched) */ ' if scope.is_small }}user_hash
        from {{ scope.touched }} as touched
    )
{%- endmacro %}


{% macro is_above_floor(scope, relation=none, column=none) -%}
    {#-
    ` and` a condition that leaves out the files of rows older than everything touched; else nothing.
    `column` has the time where the rows are not the model's own.
    -#}
    {%- if scope.floor -%}
        {{- ' and ' ~ (relation ~ '.' if relation else '') ~ (column or scope.floor.column) ~ " >= timestamp '" ~ scope.floor.at ~ "'" -}}
    {%- endif -%}
{%- endmacro %}


{% macro is_held_above_floor(scope) -%}
    {#- The same for the rows of the model's table (as `held`), if their key has the time. -#}
    {%- if scope.floor and scope.floor.column in config.require('unique_key') -%}
        {{- is_above_floor(scope, 'held') -}}
    {%- endif -%}
{%- endmacro %}


{% macro in_tenants(scope, relation=none) -%}
    {#- A condition on `tenant_id` (of `relation`): true for the tenants that the scope is about. -#}
    {%- set column = relation ~ '.tenant_id' if relation else 'tenant_id' -%}
    {%- if scope.mode == 'nothing' -%}
        {{ return('false') }}
    {%- elif scope.tenant_id is not none -%}
        {{ return(column ~ " = '" ~ scope.tenant_id ~ "'") }}
    {%- elif scope.mode in ['changed', 'rewrite'] -%}
        {{ return(column ~ " in ('" ~ scope.tenants | join("', '") ~ "')") }}
    {%- elif scope.possible is not none -%}
        {{ return(column ~ " in ('" ~ scope.possible | join("', '") ~ "')" if scope.possible else 'false') }}
    {%- endif -%}
    {{ return('true') }}
{%- endmacro %}


{% macro is_in_feeds(dot, columns, selects, scope) -%}
    {#- A condition: the row has values that one of the feeds touches. -#}
    {%- set names = ['tenant_id'] + columns -%}
    ({{ dot }}{{ names | join(', ' ~ dot) }}) in (
        select
            {{ '/*+ broadcast(touched) */ ' if scope.is_small }}
            {{- names | join(', ') }}
        from ({{ selects | join(' union all ') }}) as touched
    )
{%- endmacro %}
