{% macro find_changes(scope, parents, reads, floor) -%}
    {#- Sets the scope's mode, tenants and feeds by what changed in the parents. -#}
    {%- set counted = [] -%}
    {%- for name, parent in parents.items() if set_changes(scope, parent) -%}
        {%- set changes = scope.changes[parent.table] -%}
        {%- set feed = feed_of(reads[name], changes) -%}
        {%- if feed -%}{%- do scope.feeds.append(feed) -%}{%- endif -%}
        {%- do counted.append(
            'select tenant_id, ' ~ ('false' if feed else 'true') ~ ' as is_whole, '
            ~ (feed.hash if feed else 'cast(null as bigint)') ~ ' as touched_hash, '
            ~ (floor.values() | first if feed and floor else 'cast(null as timestamp)')
            ~ ' as touched_at from ' ~ changes
        ) -%}
    {%- endfor -%}
    {%- if not counted -%}
        {%- do scope.update({'mode': 'nothing', 'reason': 'nothing changed'}) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(
        'select tenant_id, max(is_whole) as is_whole, count(*) as change_count, '
        ~ 'approx_count_distinct(touched_hash) as touched_count, '
        ~ 'cast(min(touched_at) as string) as touched_at from (' ~ counted | join(' union all ')
        ~ ') group by tenant_id order by tenant_id'
    ) -%}
    {%- for row in found.rows -%}
        {%- do scope.tenants.append(checked_tenant_id(row['tenant_id'])) -%}
        {%- if row['is_whole'] -%}{%- do scope.whole.append(row['tenant_id']) -%}{%- endif -%}
    {%- endfor -%}
    {#- of a table that stays small it costs less to replace all rows than to merge some; 0 switches it off -#}
    {%- set is_rewrite = config.get('unique_key') == ['tenant_id'] or (
        config.get('rewrite_rows') and var('rewrite_rows') | int > 0
        and interactions_of().rows < config.get('rewrite_rows')
    ) -%}
    {%- do scope.update({
        'mode': ('rewrite' if is_rewrite else 'changed') if scope.tenants else 'nothing',
        'reason': 'rows changed' if scope.tenants else 'nothing changed',
        'is_small': found.columns['touched_count'].values() | sum <= var('broadcast_keys') | int,
        'rows': found.columns['change_count'].values() | sum | int,
        'repeats': found.columns['change_count'].values() | sum > var('broadcast_keys') | int,
    }) -%}
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
    {#- Whether a parent changed since the table read it; then its feed is in `scope.changes`. -#}
    {%- set held = scope.held[parent.table].version -%}
    {%- if parent.state.version == held -%}{{ return(false) }}{%- endif -%}
    {%- do scope.changes.update({parent.table: changes_of(parent.table, held + 1, parent.state.version)}) -%}
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


{% macro feed_of(touched, changes) -%}
    {#- The values that a parent's changes touch, as an entry of `feeds`; none when it is the tenant. -#}
    {%- if not touched -%}{{ return(none) }}{%- endif -%}
    {%- set expressions = named_expressions(touched) -%}
    {%- set selected = ['tenant_id'] -%}
    {%- for column, expression in expressions.items() -%}
        {%- do selected.append(expression ~ ' as ' ~ column) -%}
    {%- endfor -%}
    {{ return({
        'columns': expressions.keys() | list,
        'select': 'select ' ~ selected | join(', ') ~ ' from ' ~ changes,
        'hash': 'xxhash64(' ~ expressions.values() | join(', ') ~ ')',
    }) }}
{%- endmacro %}


{% macro named_expressions(touched) -%}
    {#- An entry of `reads` as a mapping, also where it is a list of names. -#}
    {%- if touched is mapping -%}{{ return(touched) }}{%- endif -%}
    {%- set expressions = {} -%}
    {%- for column in touched -%}{%- do expressions.update({column: column}) -%}{%- endfor -%}
    {{ return(expressions) }}
{%- endmacro %}
