{% macro newest_rows(model_name, scope, key) -%}
    {#-
    The rows of a parent that `reads` marks with `rows`: in a run by changes the newest state of each
    row that changed, out of the parent's change feed, with `is_deleted` for those that are gone; else
    all rows in scope. Within one commit (a restored version) a row that stays wins over its removal.
    -#}
    {%- set parent = ref(model_name) -%}
    {%- set table = table_of(model_name) -%}
    {%- if table not in scope.changes -%}
    select
        *,
        false as is_deleted
    from {{ parent }}
    where {{ 'false' if scope.mode == 'changed' else in_tenants(scope) }}
    {%- else -%}
    select * except (_change_type, _commit_version, _commit_timestamp, change_rank)
    from (
        select
            *,
            _change_type = 'delete' as is_deleted,
            row_number() over (
                partition by {{ key | join(', ') }}
                order by _commit_version desc, _change_type = 'delete'
            ) as change_rank
        from {{ scope.changes[table] }}
        where _change_type != 'update_preimage'
    )
    where change_rank = 1
    {%- endif -%}
{%- endmacro %}
