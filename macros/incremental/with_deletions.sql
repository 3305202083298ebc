{% macro with_deletions(cte, scope, key, deleted) -%}
    {#-
    The final select of a model whose rows come from its parents' feeds (`newest_rows`): in a run by
    changes the rows of `cte` enter the table and the keys of `deleted` leave it. What the table holds
    is not read: the feeds name the rows that changed. So `is_held` is null, only the merge knows. A
    key may come several times in `deleted`: each of two parents may have had it and lost it, as when
    a pair moved in a run that was killed and the person was erased before the next; a merge takes
    one row per key. Otherwise it ends like any other model.
    -#}
    {%- if scope.mode != 'changed' -%}
select * from {{ cte }}
    {%- else -%}
    {%- do scope.update({'is_marked': true}) -%}
    {%- set columns = adapter.get_columns_in_relation(scope.target) | map(attribute='name') | list -%}
    select {{ columns | join(', ') }}, true as is_current, cast(null as boolean) as is_held
    from {{ cte }}
    union all
    select
        {%- for column in columns %}
        {{ column if column in key else 'null as ' ~ column }},
        {%- endfor %}
        cast(null as boolean) as is_current,
        cast(null as boolean) as is_held
    from (select distinct {{ key | join(', ') }} from {{ deleted }})
    {%- endif -%}
{%- endmacro %}
