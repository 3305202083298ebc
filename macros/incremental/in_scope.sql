{% macro in_scope(scope, relation=none, since=none) -%}
    {#-
    A condition on the rows (of `relation`) that the scope recomputes: their tenant, and in a run by
    changes what those touch. `since` is the column of times that `since` and `after` are about; a
    scope with `after` wants `relation` named.
    -#}
    {%- set dot = relation ~ '.' if relation else '' -%}
    {%- set tenants = in_tenants(scope, relation) -%}
    {%- if scope.mode != 'changed' or scope.whole == scope.tenants -%}
        {{ return(tenants) }}
    {%- endif -%}
    {%- set touched = [] -%}
    {%- for columns, feeds in scope.feeds | rejectattr('after') | groupby('columns') -%}
        {%- do touched.append(
            is_in_feeds(dot, columns, feeds | map(attribute='select') | list, scope)
        ) -%}
    {%- endfor -%}
    {%- for feed in scope.feeds if feed.after -%}
        {%- do touched.append(is_after(dot, feed, since, scope.is_small)) -%}
    {%- endfor -%}
    {%- if scope.whole -%}
        {%- do touched.append(dot ~ "tenant_id in ('" ~ scope.whole | join("', '") ~ "')") -%}
    {%- endif -%}
    {%- for tenant_id, time in scope.since.items() if since is not none -%}
        {%- do touched.append(
            '(' ~ dot ~ "tenant_id = '" ~ tenant_id ~ "' and " ~ dot ~ since
            ~ " >= timestamp '" ~ time ~ "')"
        ) -%}
    {%- endfor -%}
    {%- if scope.after is not none -%}
        {#- the tables keep the least and greatest time of each file: older files are left out -#}
        {%- set tenants = tenants ~ ' and ' ~ dot ~ since ~ " > timestamp '" ~ scope.after ~ "'" -%}
    {%- endif -%}
    {{ return(tenants ~ ' and (' ~ (touched or ['false']) | join(' or ') ~ ')') }}
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
    {%- endif -%}
    {{ return('true') }}
{%- endmacro %}


{% macro is_in_feeds(dot, columns, selects, scope) -%}
    {#- A condition: the row has values that one of the feeds touches. -#}
    {%- set names = ['tenant_id'] + columns -%}
    ({{ dot }}{{ names | join(', ' ~ dot) }}) in (
        select
            {{ '/*+ broadcast(touched) */ ' if scope.is_small }}
            {{- 'distinct ' if scope.repeats }}{{ names | join(', ') }}
        from ({{ selects | join(' union all ') }}) as touched
    )
{%- endmacro %}


{% macro is_after(dot, feed, since, is_small) -%}
    {#- A condition: the row has values that the feed touches, and is later than the change. -#}
    exists (
        select {{ '/*+ broadcast(touched) */ ' if is_small }}1 from ({{ feed.select }}) as touched
        where
            touched.tenant_id = {{ dot }}tenant_id
            {%- for column in feed.columns %}
            and touched.{{ column }} = {{ dot }}{{ column }}
            {%- endfor %}
            and touched.touched_after < {{ dot }}{{ since }}
    )
{%- endmacro %}
