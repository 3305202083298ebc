{% macro weighted_examples(scope, continued) -%}
    {#-
    The rows that totals over `training_data` have to add: those of the tenants that are counted
    from the start with weight 1; of the `continued` tenants only what changed since the version
    their totals stand for, new rows with weight 1 and old ones with -1.
    -#}
    {%- set changes = scope.changes.get(examples_table()) -%}
    select
        *,
        1 as weight
    from {{ ref('training_data') }}
    where {{ in_scope(scope) }} and not ({{ is_continued(continued) }})
    {%- if continued and changes %}
    union all
    select
        changes.* except (_change_type, _commit_version, _commit_timestamp),
        if(changes._change_type in ('insert', 'update_postimage'), 1, -1) as weight
    from {{ changes }} as changes
    inner join {{ scope.target }} as held
        on
            changes.tenant_id = held.tenant_id
            and changes._commit_version > held.counted_version
    where {{ is_continued(continued, 'changes') }}
    {%- endif %}
{%- endmacro %}


{% macro continued_tenants(scope) -%}
    {#- The tenants of a run by changes that have totals to go on from. -#}
    {%- if not execute or scope.mode != 'changed' -%}{{ return([]) }}{%- endif -%}
    {%- set held = run_query(
        'select tenant_id from ' ~ scope.target ~ ' where ' ~ in_tenants(scope) ~ ' order by tenant_id'
    ) -%}
    {{ return(held.columns[0].values() | list) }}
{%- endmacro %}


{% macro is_continued(continued, relation=none) -%}
    {#- A condition on `tenant_id` (of `relation`): whether the tenant's totals go on. -#}
    {%- set column = relation ~ '.tenant_id' if relation else 'tenant_id' -%}
    {{ return(column ~ " in ('" ~ continued | join("', '") ~ "')" if continued else 'false') }}
{%- endmacro %}


{% macro continued_totals(scope, continued, columns) -%}
    {#- The totals that the `continued` tenants have, to be added to those of their changes. -#}
    {%- if continued -%}
    union all
    select
        tenant_id,
        {{ columns | join(',\n        ') }}
    from {{ scope.target }}
    where {{ is_continued(continued) }}
    {%- endif -%}
{%- endmacro %}


{% macro counted_version(scope) -%}
    {#- The version of `training_data` that this run's totals stand for. -#}
    cast({{ scope.read.get(examples_table(), 0) }} as bigint)
{%- endmacro %}


{% macro examples_table() -%}
    {#- The name that a scope knows `training_data` by: its schema may be somebody's own. -#}
    {%- set relation = ref('training_data') -%}
    {{ return(relation.schema ~ '.' ~ relation.identifier) }}
{%- endmacro %}
