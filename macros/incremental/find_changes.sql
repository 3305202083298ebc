{% macro find_changes(scope, parents, reads, changed, floor) -%}
    {#- Sets the scope's mode, tenants and feeds by what changed in the parents. -#}
    {%- set counted = [] -%}
    {%- for name in changed -%}
        {%- set changes = scope.changes[parents[name].table] -%}
        {%- if reads[name] -%}
            {%- do counted.append(keep_touched_keys(scope, name, reads[name], changes, floor)) -%}
        {%- else -%}
            {%- do counted.append(
                'select tenant_id, true as is_whole, count(*) as change_count, cast(null as timestamp) as touched_at from '
                ~ changes ~ ' group by tenant_id'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set found = run_query(
        'select tenant_id, max(is_whole) as is_whole, sum(change_count) as change_count, '
        ~ 'count_if(not is_whole) as touched_count, '
        ~ 'cast(min(touched_at) as string) as touched_at from (' ~ counted | join(' union all ')
        ~ ') group by tenant_id order by tenant_id'
    ) -%}
    {%- for row in found.rows if row['is_whole'] and row['tenant_id'] not in scope.whole -%}
        {%- do scope.whole.append(checked_tenant_id(row['tenant_id'])) -%}
    {%- endfor -%}
    {%- do scope.update({
        'mode': 'changed',
        'is_small': found.columns['touched_count'].values() | sum <= var('broadcast_keys') | int,
        'rows': found.columns['change_count'].values() | sum | int,
    }) -%}
    {%- if is_cheaper_replaced(scope) or not scope.keeps_expired and is_large_share(scope, interactions_of(scope.tenants).rows) -%}
        {%- do set_rewrite(scope) -%}
    {%- endif -%}
    {%- if floor and scope.mode == 'changed' and not scope.whole -%}
        {%- set earliest = found.columns['touched_at'].values() | map('string') | min -%}
        {%- do scope.update({'floor': {'column': floor.keys() | first, 'at': earliest}}) -%}
    {%- endif -%}
    {%- if is_run() and scope.keeps_expired and scope.mode == 'changed' and not scope.whole -%}
        {%- do set_new_source(scope, source(*scope.keeps_expired.split('.'))) -%}
    {%- endif -%}
{%- endmacro %}


{% macro set_new_source(scope, relation) -%}
    {#-
    Sets `fresh` to a source whose changes are all rows it has of the touched keys, if the model's table has
    none of these: the model then reads the changes alone, and compares nothing.
    -#}
    {%- set changes = scope.changes.get(relation.schema ~ '.' ~ relation.identifier) -%}
    {%- if changes and run_query(
        "select (select count(*) from " ~ relation ~ " where " ~ in_scope(scope) ~ ") = (select "
        ~ "if(bool_and(_change_type = 'insert'), count(*), -1) from " ~ changes ~ ") and not exists (select 1 from "
        ~ scope.target ~ " where " ~ in_scope(scope) ~ ")"
    ).rows[0][0] -%}
        {%- do scope.update({'fresh': relation.schema ~ '.' ~ relation.identifier}) -%}
    {%- endif -%}
{%- endmacro %}


{% macro set_changes(scope, parent) -%}
    {#-
    Whether a parent's change feed says what changed since the table read it; then it is in `scope.changes`. A
    parent that replaced all rows of tenants says so in its commits: these are touched as a whole (`scope.whole`).
    -#}
    {%- set held = scope.held[parent.table].version -%}
    {%- set tenants = scope.only_tenants.get(parent.name) -%}
    {%- if parent.state.version == held or tenants == [] -%}{{ return(false) }}{%- endif -%}
    {%- set replaced = replaced_tenants(scope, parent) if parent.is_model and not scope.keeps_expired else none -%}
    {%- if replaced is not none -%}
        {%- for tenant_id in replaced if tenant_id not in scope.whole and (tenants is none or tenant_id in tenants) -%}
            {%- do scope.whole.append(checked_tenant_id(tenant_id)) -%}
        {%- endfor -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set changes = changes_of(parent.table, held + 1, parent.state.version) -%}
    {%- if tenants is not none -%}
        {%- set changes = '(select * from ' ~ changes ~ " where tenant_id in ('" ~ tenants | join("', '") ~ "'))" -%}
    {%- endif -%}
    {%- do scope.changes.update({parent.table: changes}) -%}
    {{ return(true) }}
{%- endmacro %}


{% macro changes_of(table, first, last) -%}
    {#-
    The change feed of a table from one version to another, to select from. By path: within one
    statement Spark 4.2 gives a table and `table_changes` of its name the same relation, whichever
    it meets first, so one of them would silently read the other's rows.
    -#}
    {{ return(
        "table_changes_by_path('" ~ location_of(table) | replace("'", "\\'") ~ "', "
        ~ first ~ ', ' ~ last ~ ')'
    ) }}
{%- endmacro %}


{% macro keep_touched_keys(scope, name, touched, changes, floor) -%}
    {#-
    Keeps the values that a parent's changes touch, each once, as an entry of the scope's `feeds`. Returns them
    to select from, with how many changes touch them and the earliest touched time.
    -#}
    {%- set expressions = named_expressions(touched) -%}
    {%- set columns = expressions.keys() | list -%}
    {%- set selected = ['tenant_id'] -%}
    {%- for column, expression in expressions.items() -%}{%- do selected.append(expression ~ ' as ' ~ column) -%}{%- endfor -%}
    {%- set keys = keep_rows(
        scope, 'keys_' ~ name.replace('.', '_'),
        'select ' ~ selected | join(', ') ~ ', false as is_whole, count(*) as change_count, '
        ~ 'min(' ~ (floor.values() | first if floor else 'cast(null as timestamp)') ~ ') as touched_at from ' ~ changes
        ~ ' group by tenant_id, ' ~ expressions.values() | join(', ')
    ) -%}
    {%- do scope.feeds.append({'columns': columns, 'select': 'select tenant_id, ' ~ columns | join(', ') ~ ' from ' ~ keys}) -%}
    {{ return('select tenant_id, is_whole, change_count, touched_at from ' ~ keys) }}
{%- endmacro %}


{% macro named_expressions(touched) -%}
    {#- An entry of `reads` as a mapping, also where it is a list of names. -#}
    {%- if touched is mapping -%}{{ return(touched) }}{%- endif -%}
    {%- set expressions = {} -%}
    {%- for column in touched -%}{%- do expressions.update({column: column}) -%}{%- endfor -%}
    {{ return(expressions) }}
{%- endmacro %}
