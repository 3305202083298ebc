{% macro replace_users(relation, sql, columns, scope) -%}
    {#-
    Replaces the rows of the touched users, from each user's `since` on, in one commit. Users who may
    have lost rows that no new row takes the place of lose them in a commit before it.
    -#}
    {%- do run_query('set spark.databricks.delta.delete.allowExistsSubquery = true') -%}
    {%- set is_whole = target.method == 'thrift' -%}
    {%- if scope.removes or is_whole -%}
        {%- call statement('removed', fetch_result=true) -%}
            {{ remove_users_sql(relation, scope, all=is_whole) }}
        {%- endcall -%}
    {%- endif -%}
    {%- call statement('main', fetch_result=true) -%}
        insert into {{ relation }}
        {%- if not is_whole %} as held replace on ({{ is_replaced(scope) }}){% endif %}
        {{ users_rows_sql(sql, columns, scope) }}
    {%- endcall -%}
    {%- do report_result('CHANGED', covered(scope), counted_rows()) -%}
{%- endmacro %}


{% macro is_replaced(scope) -%}
    {#-
    The condition under which a row of `fresh` takes the place of one of `held`, in one line. It ends up in
    the Delta log, so it names columns and tenants, and no user. The literal times leave out the files
    that hold older rows alone.
    -#}
    {{- in_tenants(scope, 'held') }}{{ is_above_floor(scope, 'held') }} and held.user_hash = fresh.user_hash
    {%- if scope.time %} and held.{{ scope.time }} >= fresh.{{ scope.time }}{% endif -%}
{%- endmacro %}


{% macro remove_users_sql(relation, scope, all=false) -%}
    {#- Removes the rows of those touched users who may have lost some, or of `all`. -#}
    delete from {{ relation }} as held
    where
        {{ in_tenants(scope, 'held') }}{{ is_above_floor(scope, 'held') }}
        and exists (
            select 1 from {{ scope.touched }} as touched
            where
                touched.user_hash = held.user_hash
                {%- if not all %} and touched.is_removed{% endif %}
                {%- if scope.time %} and held.{{ scope.time }} >= touched.since{% endif %}
        )
{%- endmacro %}


{% macro users_rows_sql(sql, columns, scope) -%}
    {#- The rows that the model has of the touched users, from each user's `since` on. -#}
    select {{ '/*+ broadcast(fresh) */ ' if is_on_few_rows(scope) }}{{ columns | join(', ') }} from ({{ sql }}
    ) as fresh
    {%- if scope.time %}
    where exists (
        select 1 from {{ scope.touched }} as touched
        where touched.user_hash = fresh.user_hash and fresh.{{ scope.time }} >= touched.since
    )
    {%- endif %}
{%- endmacro %}
