{% macro find_users(scope, parents, reads, changed) -%}
    {#-
    Sets the scope's mode and tenants by the users that the parents' changes touch, and keeps these
    users for the run (`scope.touched`). Small tenants, and those of whose rows many are touched, get
    all rows replaced instead: that costs less than to find some.
    -#}
    {%- for name in changed if not reads[name] -%}
        {%- for tenant_id in tenants_of(scope, parents[name].table) if tenant_id not in scope.whole -%}
            {%- do scope.whole.append(tenant_id) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do set_fresh_parent(scope, parents, reads, changed) -%}

    {%- set selects = [] -%}
    {%- for name in changed if reads[name] -%}
        {%- set select = users_touched_by(name, parents[name], named_expressions(reads[name]), scope) -%}
        {%- if select -%}{%- do selects.append(select) -%}{%- endif -%}
    {%- endfor -%}
    {%- if scope.whole -%}
        {%- set listing = [scope.target] -%}
        {%- for name, touched in reads.items() if 'user_hash' in touched -%}{%- do listing.append(ref(name)) -%}{%- endfor -%}
        {%- for relation in listing -%}
            {%- do selects.append(
                'select distinct tenant_id, user_hash, ' ~ always() ~ ' as since, true as is_removed, false as is_fresh from '
                ~ relation ~ " where tenant_id in ('" ~ scope.whole | join("', '") ~ "')"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do find_touched_users(scope, selects) -%}
    {%- if touches_most(scope) -%}
        {%- do drop_kept_rows(scope) -%}
        {%- do set_rewrite(scope) -%}
    {%- endif -%}
{%- endmacro %}


{% macro is_found_by_tenants(scope) -%}
    {#-
    Sets the scope's tenants to those touched as a whole or with rows in one of the feeds. Returns whether there is nothing
    else to find: none is touched, or it costs less to replace all of their rows than to find out which.
    -#}
    {%- do scope.tenants.extend(scope.whole) -%}
    {%- for table in scope.changes -%}
        {%- for tenant_id in tenants_of(scope, table) if tenant_id not in scope.tenants -%}
            {%- do scope.tenants.append(tenant_id) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do scope.update({'reason': 'rows changed' if scope.tenants else 'nothing changed'}) -%}
    {{ return(not scope.tenants or is_cheaper_replaced(scope)) }}
{%- endmacro %}


{% macro is_cheaper_replaced(scope) -%}
    {#-
    Whether it costs less to replace all rows of the tenants, whatever changed in them: of a table of one row each, of one
    that stays small (`rewrite_rows` in its config), and of tenants that are small or touched as a whole. Not of
    a table that keeps what its source no longer has; 0 as the variable switches it off.
    -#}
    {%- if scope.keeps_expired -%}{{ return(false) }}{%- endif -%}
    {%- if config.get('unique_key') == ['tenant_id'] or scope.whole | length == scope.tenants | length -%}{{ return(true) }}{%- endif -%}
    {%- if var('rewrite_rows') | int == 0 -%}{{ return(false) }}{%- endif -%}
    {%- if config.get('rewrite_rows') -%}{{ return(interactions_of().rows < config.get('rewrite_rows')) }}{%- endif -%}
    {{ return(interactions_of(scope.tenants).rows < var('rewrite_rows') | int) }}
{%- endmacro %}


{% macro tenants_of(scope, table) -%}
    {#- The tenants with changes in a parent, which its children have read up to the same version: asked once. -#}
    {%- set name = scope.changes[table] -%}
    {%- set known = graph.setdefault('eta_feed_tenants', {}) -%}
    {%- if name not in known -%}
        {%- set found = run_query('select distinct tenant_id from ' ~ name ~ ' order by tenant_id').columns[0].values() -%}
        {%- do known.update({name: found | map('string') | list}) -%}
    {%- endif -%}
    {%- for tenant_id in known[name] -%}{%- do checked_tenant_id(tenant_id) -%}{%- endfor -%}
    {{ return(known[name]) }}
{%- endmacro %}


{% macro set_rewrite(scope) -%}
    {#- Sets that all rows of the scope's tenants are replaced. -#}
    {%- do scope.update({
        'mode': 'rewrite' if scope.tenants else 'nothing',
        'rows': interactions_of(scope.tenants).rows if scope.tenants else 0,
        'touched': none, 'feeds': [], 'floor': none, 'fresh': none,
    }) -%}
{%- endmacro %}


{% macro users_touched_by(name, parent, touched, scope) -%}
    {#-
    A parent's changes as a select of tenant_id, user_hash, `since` (from when on the user's rows are
    touched), `is_removed` (rows of the user may have gone that no new row replaces) and
    `is_fresh`. None if the changes touch nobody.
    -#}
    {%- set changes = scope.changes[parent.table] -%}
    {%- if 'users_of' not in touched -%}
        {%- set time = touched.since if scope.time else always() -%}
        {%- set commits = scope.commits.get(parent.table, []) | rejectattr('is_neutral') | list -%}
        {#-
        One commit that replaced users gave rows to each user it took some from, from the earliest of these on, so
        what it removed need not be read. After any other a user with a new row may have none that this
        model shows.
        -#}
        {%- set is_replacement = commits | length == 1 and commits[0].replaces_users -%}
        {%- set removed = "_change_type in ('delete', 'update_preimage')" -%}
        {%- set conditions = (["_change_type = 'insert'"] if is_replacement else []) + ([touched.when] if 'when' in touched else []) -%}
        {{ return(
            'select tenant_id, ' ~ touched.user_hash ~ ' as user_hash, min(' ~ time ~ ') as since, '
            ~ ('true' if touched.get('removes') else 'false' if is_replacement else 'bool_or(' ~ removed ~ ')') ~ ' as is_removed, '
            ~ ('not bool_and(' ~ removed ~ ')' if scope.fresh == parent.table else 'false') ~ ' as is_fresh from ' ~ changes
            ~ (' where ' ~ conditions | join(' and ') if conditions) ~ ' group by tenant_id, ' ~ touched.user_hash
        ) }}
    {%- endif -%}
    {#- the users that have something in another table -#}
    {%- set moment = touched.get('since') or touched.get('after') -%}
    {%- set conditions = ['rows.tenant_id = changes.tenant_id'] -%}
    {%- set keys = ['tenant_id'] -%}
    {%- if 'item_id' in touched -%}
        {%- do keys.append('item_id') -%}
        {%- do conditions.append('rows.item_id = changes.item_id') -%}
    {%- endif -%}
    {%- if moment -%}
        {%- set earliest = run_query('select cast(min(' ~ moment ~ ') as string) from ' ~ changes).rows[0][0] -%}
        {%- if earliest is none -%}{{ return(none) }}{%- endif -%}
        {%- set comparison = ' >= ' if 'since' in touched else ' > ' -%}
        {%- do conditions.append('rows.event_time' ~ comparison ~ 'changes.moment') -%}
        {%- do conditions.append('rows.event_time' ~ comparison ~ "timestamp '" ~ earliest ~ "'") -%}
    {%- endif -%}
    {{ return(
        'select rows.tenant_id, rows.user_hash, '
        ~ ('min(rows.event_time)' if scope.time else always()) ~ ' as since, false as is_removed, false as is_fresh from ' ~ ref(touched.users_of) ~ ' as rows '
        ~ 'inner join (select ' ~ keys | join(', ') ~ (', min(' ~ moment ~ ') as moment' if moment else '')
        ~ ' from ' ~ changes ~ ' group by ' ~ keys | join(', ') ~ ') as changes on ' ~ conditions | join(' and ')
        ~ ' group by rows.tenant_id, rows.user_hash'
    ) }}
{%- endmacro %}


{% macro find_touched_users(scope, selects) -%}
    {#-
    Keeps the touched users in the session until the commit, one row per tenant and hash, as the view
    `scope.touched`: `tenant_id`, `user_hash`, `since`, `is_removed`, `is_fresh`. Sets what the scope
    says of them; the parent whose feed has all rows of its users stays `fresh` if the other touched
    users have no rows there. A plan only counts them.
    -#}
    {%- set users = 'select tenant_id, user_hash, min(since) as since, '
        ~ 'bool_or(is_removed) as is_removed, bool_or(is_fresh) as is_fresh from ('
        ~ (selects | join(' union all ') or 'select tenant_id, user_hash, ' ~ always() ~ ' as since, '
        ~ 'false as is_removed, false as is_fresh from ' ~ scope.target ~ ' where false')
        ~ ') group by tenant_id, user_hash' -%}
    {%- set view = keep_rows(scope, 'users', users) -%}
    {%- set found = run_query(
        'select tenant_id, count(*) as user_count, max(is_removed) as removes, count_if(not is_fresh) as other_count, '
        ~ 'cast(min(since) as string) as since from '
        ~ view ~ ' group by tenant_id order by tenant_id'
    ) -%}
    {%- do scope.update({'tenants': []}) -%}
    {%- for row in found.rows -%}{%- do scope.tenants.append(checked_tenant_id(row['tenant_id'])) -%}{%- endfor -%}
    {%- set count = found.columns['user_count'].values() | sum | int -%}
    {%- do scope.update({
        'mode': 'changed' if scope.tenants else 'nothing',
        'reason': 'rows changed' if scope.tenants else 'nothing changed',
        'touched': view,
        'users': count,
        'removes': found.columns['removes'].values() | max if count else false,
        'is_small': count <= var('broadcast_keys') | int,
        'floor': {'column': scope.time, 'at': found.columns['since'].values() | map('string') | min}
            if scope.time and count else none,
    }) -%}
    {%- if scope.fresh and (is_plan() or count and found.columns['other_count'].values() | sum) -%}
        {%- if is_plan() or run_query(
            'select 1 from ' ~ scope.fresh ~ ' where ' ~ in_tenants(scope) ~ ' and user_hash in (select user_hash from '
            ~ view ~ ' where not is_fresh) limit 1'
        ).rows -%}
            {%- do scope.update({'fresh': none}) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro always() -%}
    {#- A time before all others: `since` of users all of whose rows are touched. -#}
    {{ return("timestamp '0001-01-01 00:00:00'") }}
{%- endmacro %}


{% macro touches_most(scope) -%}
    {#- Whether so many of the tenants' rows are touched that it pays to replace all. -#}
    {%- if scope.mode != 'changed' -%}{{ return(false) }}{%- endif -%}
    {%- set held = interactions_of(scope.tenants) -%}
    {%- set share = scope.users / [held.users, 1] | max -%}
    {%- do scope.update({'rows': (held.rows * share) | int}) -%}
    {%- if is_run() and share > var('rewrite_share') / 4 -%}
        {#- who has come again has more rows than others -#}
        {%- do scope.update({'rows': interactions_of_touched_users(scope)}) -%}
    {%- endif -%}
    {{ return(is_large_share(scope, held.rows)) }}
{%- endmacro %}


{% macro is_large_share(scope, rows) -%}
    {#- Whether so many of the tenants' rows are touched that to find and replace them costs more than all. -#}
    {{ return(scope.rows > var('rewrite_share') * rows) }}
{%- endmacro %}


{% macro interactions_of_touched_users(scope) -%}
    {%- set node = graph.nodes['model.eta.stg_interactions'] -%}
    {{ return(run_query(
        'select count(*) from ' ~ node.schema ~ '.' ~ node.alias ~ ' where ' ~ in_scope(scope)
    ).rows[0][0] | int) }}
{%- endmacro %}


{% macro set_fresh_parent(scope, parents, reads, changed) -%}
    {#-
    Sets `fresh` to the parent whose feed has every row of the users in it: its users were replaced in one
    commit, and before it rows were removed at most. Their rows are then read from the feed alone.
    -#}
    {%- for name in changed if reads[name] == ['user_hash'] and scope.fresh is none -%}
        {%- set commits = scope.commits.get(parents[name].table, []) | rejectattr('is_neutral') | list -%}
        {%- if commits and commits[0].replaces_users and commits[1:] | map(attribute='operation') | reject('equalto', 'DELETE') | list == [] -%}
            {%- do scope.update({'fresh': parents[name].table}) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
