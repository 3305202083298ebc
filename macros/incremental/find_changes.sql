{% macro find_changes(scope, parents, reads, since) -%}
    {#- Sets the scope's mode, tenants and feeds by what changed in the parents. -#}
    {%- set counted = [] -%}
    {%- for name, parent in parents.items() if parent.state.version > scope.held[parent.table].version -%}
        {%- set changes = changes_of(
            parent.table, scope.held[parent.table].version + 1, parent.state.version
        ) -%}
        {%- do scope.changes.update({parent.table: changes}) -%}
        {%- set feed = feed_of(reads.get(name, []), changes) -%}
        {%- if feed and not feed.is_rows -%}{%- do scope.feeds.append(feed) -%}{%- endif -%}
        {%- do counted.append(
            'select tenant_id, ' ~ ('false' if feed or name in since else 'true') ~ ' as is_whole, '
            ~ ('cast(' ~ since[name] ~ ' as string)' if name in since else 'cast(null as string)')
            ~ ' as since_at, ' ~ (feed.hash if feed else 'cast(null as bigint)')
            ~ ' as touched_hash, ' ~ (feed.hash if feed and feed.columns == ['user_id'] else 'cast(null as bigint)')
            ~ ' as user_hash, ' ~ (feed.after if feed and feed.after else 'cast(null as timestamp)')
            ~ " as touched_after, _change_type = 'delete' as is_delete from " ~ changes
        ) -%}
    {%- endfor -%}
    {%- if not counted -%}
        {%- do scope.update({'mode': 'nothing', 'reason': 'nothing changed'}) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(
        'select tenant_id, max(is_whole) as is_whole, count(*) as change_count, '
        ~ 'approx_count_distinct(touched_hash) as touched_count, '
        ~ 'approx_count_distinct(user_hash) as user_count, '
        ~ 'min(since_at) as since_at, cast(min(touched_after) as string) as touched_after, '
        ~ 'count_if(is_delete) as delete_count from (' ~ counted | join(' union all ')
        ~ ') group by tenant_id order by tenant_id'
    ) -%}
    {%- for row in found.rows -%}
        {%- do scope.tenants.append(checked_tenant_id(row['tenant_id'])) -%}
        {%- if row['is_whole'] -%}{%- do scope.whole.append(row['tenant_id']) -%}{%- endif -%}
        {%- if row['since_at'] is not none -%}
            {%- do scope.since.update({row['tenant_id']: row['since_at'] | string}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do scope.update({
        'mode': 'changed' if scope.tenants else 'nothing',
        'reason': 'rows changed' if scope.tenants else 'nothing changed',
        'is_small': found.columns['touched_count'].values() | sum <= var('broadcast_keys') | int,
        'repeats': found.columns['change_count'].values() | sum > var('broadcast_keys') | int,
        'deletes': found.columns['delete_count'].values() | sum | int,
        'users': found.columns['user_count'].values() | sum | int,
    }) -%}
    {%- set times = found.columns['touched_after'].values() | reject('none') | list -%}
    {%- if times and not (scope.whole or scope.since or scope.feeds | rejectattr('after') | list) -%}
        {%- do scope.update({'after': times | map('string') | min}) -%}
    {%- endif -%}
{%- endmacro %}


{% macro touches_most(scope, users_of) -%}
    {#- Whether it pays to replace all rows: how many of the tenants' users, all in `users_of`, are touched. -#}
    {%- if bytes_of(scope.target) < var('rewrite_bytes') | int -%}{{ return(false) }}{%- endif -%}
    {%- if scope.whole == scope.tenants -%}{{ return(true) }}{%- endif -%}
    {%- set found = run_query(
        'select approx_count_distinct(xxhash64(tenant_id, user_id)) from ' ~ ref(users_of)
        ~ ' where ' ~ in_tenants(scope)
    ) -%}
    {{ return(scope.users > var('rewrite_share') * found.rows[0][0] | int) }}
{%- endmacro %}


{% macro changes_of(table, first, last) -%}
    {#-
    The change feed of a table from one version to another, to select from. By path: within one
    statement Spark 4.2 gives a table and `table_changes` of its name the same relation, whichever
    it meets first, so one of them would silently read the other's rows.
    -#}
    {{ return(
        "table_changes_by_path('" ~ known_detail(table).location | replace("'", "\\'") ~ "', "
        ~ first ~ ', ' ~ last ~ ')'
    ) }}
{%- endmacro %}


{% macro feed_of(touched, changes) -%}
    {#- The values that a parent's changes touch, as an entry of `feeds`; none when it is the tenant. -#}
    {%- if not touched -%}{{ return(none) }}{%- endif -%}
    {%- set expressions = {} -%}
    {%- if touched is mapping -%}
        {%- do expressions.update(touched) -%}
    {%- else -%}
        {%- for column in touched -%}{%- do expressions.update({column: column}) -%}{%- endfor -%}
    {%- endif -%}
    {%- set after = expressions.pop('after', none) -%}
    {%- set is_rows = expressions.pop('rows', false) -%}
    {%- set columns = expressions.keys() | list -%}
    {%- set selected = ['tenant_id'] -%}
    {%- for column, expression in expressions.items() -%}
        {%- do selected.append(expression ~ ' as ' ~ column) -%}
    {%- endfor -%}
    {%- if after -%}{%- do selected.append('min(' ~ after ~ ') as touched_after') -%}{%- endif -%}
    {%- set select = 'select ' ~ selected | join(', ') ~ ' from ' ~ changes -%}
    {%- if after -%}
        {%- set select = select ~ ' group by tenant_id, ' ~ expressions.values() | join(', ') -%}
    {%- endif -%}
    {{ return({
        'columns': columns,
        'after': after,
        'is_rows': is_rows,
        'select': select,
        'hash': 'xxhash64(' ~ expressions.values() | join(', ') ~ ')',
    }) }}
{%- endmacro %}
