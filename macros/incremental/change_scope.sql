{% macro change_scope(model_name, reads, parameters=none, since=none, users_of=none) -%}
    {#-
    What a run of `model_name` has to recompute. `reads` maps each parent (a model, or a source as
    `schema.table`) to what its changed rows touch: a mapping from columns of the model's rows to
    expressions over the parent's (a list where the names are the same). The rows with those values
    are touched; with the entry `after`, only those later than its expression; with the entry `rows`,
    the model takes the changed rows themselves over (`newest_rows`), and they touch nothing else. An
    empty list touches the whole tenant. `since` maps a parent to a column of times: the tenant's rows
    at or after the earliest are touched. Changes come from the parents' change feeds, from the version
    that the table has read on, in the order of commits; no time in the data decides what is new.
    `users_of` names a parent that has all users: when a run touches more than `rewrite_share` of
    them, the table's rows of the changed tenants are computed anew and replaced, which then costs
    less than to find and merge them.

    Returns a mapping:
      mode        `all` tenants, the `changed` ones, all rows of these (`rewrite`), or `nothing`
      tenants     the tenants with changes, in the modes `changed` and `rewrite`
      whole       those of them that are touched as a whole
      since       tenant → earliest time from which on its rows are touched
      feeds       what else is touched: mappings of `columns`, `after` and the `select` of values
      after       the earliest of the times of `after`, if everything touched is later than one
      changes     per changed parent table: its change feed, to select from
      is_small    whether the touched values are few enough to be sent to every task
      repeats     whether the changed rows are too many for that, so that values are taken once
      deletes     how many of the changed rows are deleted ones
      users       how many users are touched, about
      tenant_id   the one tenant the run is narrowed to, or none
      target      the model's table if it stays (rows may have to be deleted from it), or none
      from, to    per source table: the Delta version the table holds, and the one this run reads
      held, read  per parent table: the version the table has read, and the one this run reads
      parameters  what the table is a function of besides its inputs, as text
    A source counts with its newest version, a model with the versions recorded in its table.
    -#}
    {%- set tenant_id = this_runs_tenant_id() -%}
    {%- set parameters = tojson(parameters or {}, sort_keys=True) -%}
    {%- set scope = {
        'mode': 'all', 'tenants': [], 'whole': [], 'since': {}, 'feeds': [], 'after': none,
        'changes': {}, 'is_small': true, 'repeats': false, 'deletes': 0, 'users': 0,
        'tenant_id': tenant_id, 'target': none, 'from': {}, 'to': {}, 'held': {}, 'read': {},
        'parameters': parameters,
    } -%}
    {%- if not execute or var('rebuild', false) -%}
        {{ return(scope) }}
    {%- endif -%}

    {%- set parents = {} -%}
    {%- for name in reads.keys() | list + (since or {}).keys() | list -%}
        {%- set parent = known_parent(name) -%}
        {%- if parent is none and tenant_id is none and flags.WHICH in ['run', 'build', 'retry'] -%}
            {%- do exceptions.raise_compiler_error(
                name ~ ' was never built, so ' ~ model_name
                ~ ' cannot be: run `dbt build` without tenant_id first'
            ) -%}
        {%- elif parent is not none -%}
            {%- if parent.sources == {} and tenant_id is none and flags.WHICH in ['run', 'build', 'retry'] -%}
                {%- do exceptions.raise_compiler_error(
                    name ~ ' was only ever built for single tenants, so ' ~ model_name
                    ~ ' cannot be built for all: run `dbt build` without tenant_id first'
                ) -%}
            {%- endif -%}
            {%- do parents.update({name: parent}) -%}
            {%- do scope['read'].update({parent.table: parent.version}) -%}
            {%- for source, version in parent.sources.items() -%}
                {%- do scope['to'].update({source: [version, scope['to'].get(source, version)] | min}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}

    {%- set relation = relation_of(model_name) -%}
    {%- if relation is none or (should_full_refresh() and tenant_id is none) -%}
        {{ return(scope) }}
    {%- endif -%}
    {%- do scope.update({'target': relation}) -%}
    {%- set properties = table_properties(relation) -%}
    {%- do scope.update({
        'from': recorded_versions(properties, 'eta.watermark.'),
        'held': recorded_versions(properties, 'eta.read.'),
    }) -%}

    {%- if properties.get('eta.parameters', parameters) != parameters -%}
        {%- if tenant_id is not none -%}
            {%- do exceptions.raise_compiler_error(
                model_name ~ ' was built with ' ~ properties['eta.parameters'] ~ ', this run has '
                ~ parameters ~ ': run it for all tenants (without tenant_id) when these change'
            ) -%}
        {%- endif -%}
    {%- elif should_full_refresh() or tenant_id is not none or has_unread(scope, parents) -%}
        {#- Asked for; or a parent this table has never read, or one that was rebuilt: recompute all
            in scope. For one tenant the versions say nothing: they stay in a narrowed run. -#}
    {%- else -%}
        {%- do find_changes(scope, parents, reads, since or {}) -%}
        {%- if scope.mode == 'changed' and users_of and touches_most(scope, users_of) -%}
            {%- do scope.update({'mode': 'rewrite', 'changes': {}, 'deletes': 0}) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(scope) }}
{%- endmacro %}


{% macro find_changes(scope, parents, reads, since) -%}
    {#- Sets the scope's mode, tenants and feeds by what changed in the parents. -#}
    {%- set counted = [] -%}
    {%- for name, parent in parents.items() if parent.version > scope.held[parent.table] -%}
        {%- set changes = changes_of(parent.table, scope.held[parent.table] + 1, parent.version) -%}
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
        {%- do scope.update({'mode': 'nothing'}) -%}
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
        'select approx_count_distinct(xxhash64(tenant_id, user_id)) from ' ~ relation_of(users_of)
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


{% macro known_detail(table) -%}
    {#- Where a table lies and its bytes at the first time this was asked in a run. -#}
    {%- set known = graph.setdefault('eta_details', {}) -%}
    {%- if table not in known -%}
        {%- set detail = run_query('describe detail ' ~ table).rows[0] -%}
        {%- do known.update({table: {
            'location': detail['location'], 'bytes': detail['sizeInBytes'] | int,
        }}) -%}
    {%- endif -%}
    {{ return(known[table]) }}
{%- endmacro %}


{% macro bytes_of(relation) -%}
    {{ return(known_detail(relation.schema ~ '.' ~ relation.identifier).bytes) }}
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


{% macro has_unread(scope, parents) -%}
    {#- Whether a parent was never read by the table, or was rebuilt since: its feed says too little. -#}
    {%- for parent in parents.values() -%}
        {%- set behind = parent.version - scope.held.get(parent.table, -1) -%}
        {%- if parent.table not in scope.held -%}
            {{ return(true) }}
        {%- elif behind and parent.is_model -%}
            {%- set history = run_query('describe history ' ~ parent.table ~ ' limit ' ~ behind) -%}
            {%- for operation in history.columns['operation'].values() -%}
                {%- if modules.re.search('CREATE|REPLACE', operation) -%}{{ return(true) }}{%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}


{% macro known_parent(name) -%}
    {#- `parent_of`, asked once per run: dbt hands all models of a run one graph to keep things in. -#}
    {%- set known = graph.setdefault('eta_parents', {}) -%}
    {%- if name not in known -%}
        {%- do known.update({name: parent_of(name)}) -%}
    {%- endif -%}
    {{ return(known[name]) }}
{%- endmacro %}


{% macro forget_parent(name) -%}
    {#- After a commit to a model's table. -#}
    {%- do graph.setdefault('eta_parents', {}).pop(name, none) -%}
{%- endmacro %}


{% macro parent_of(name) -%}
    {#-
    A parent's table, its newest version and the source versions it holds; none for a model
    without a table.
    -#}
    {%- if '.' in name -%}
        {%- set newest = run_query('describe history ' ~ name ~ ' limit 1').rows[0]['version'] | int -%}
        {{ return({
            'table': name, 'version': newest, 'is_model': false, 'sources': {name: newest},
        }) }}
    {%- endif -%}
    {%- set relation = relation_of(name) -%}
    {%- if relation is none -%}{{ return(none) }}{%- endif -%}
    {%- set properties = table_properties(relation) -%}
    {%- set history = run_query('describe history ' ~ relation ~ ' limit 1') -%}
    {{ return({
        'table': relation.schema ~ '.' ~ relation.identifier,
        'version': history.rows[0]['version'] | int,
        'is_model': true,
        'sources': recorded_versions(properties, 'eta.watermark.'),
    }) }}
{%- endmacro %}


{% macro relation_of(model_name) -%}
    {#- The table of a model, or none before its first run. -#}
    {%- set node = graph.nodes['model.eta.' ~ model_name] -%}
    {{ return(adapter.get_relation(node.database, node.schema, node.alias)) }}
{%- endmacro %}


{% macro table_properties(relation) -%}
    {%- set rows = run_query('show tblproperties ' ~ relation) -%}
    {%- set properties = {} -%}
    {%- for row in rows.rows -%}{%- do properties.update({row[0]: row[1]}) -%}{%- endfor -%}
    {{ return(properties) }}
{%- endmacro %}


{% macro recorded_versions(properties, prefix) -%}
    {#- The properties of a table that record Delta versions: table → version. -#}
    {%- set found = {} -%}
    {%- for name, value in properties.items() if name.startswith(prefix) -%}
        {%- do found.update({name[prefix | length:]: value | int}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro checked_tenant_id(tenant_id) -%}
    {#-
    A tenant id enters SQL only in this form. Anything but a text is refused: YAML makes a number of
    `007` and a truth of `yes`, and what was typed can no longer be known.
    -#}
    {%- if tenant_id is not none and tenant_id is not string -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be a text, and YAML reads what was given as another kind of value ('
            ~ tenant_id ~ '): put it in quotes, --vars \'{"tenant_id": "007"}\''
        ) -%}
    {%- elif tenant_id is not none and not modules.re.fullmatch('[a-z0-9][a-z0-9_-]{0,62}', tenant_id) -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be 1 to 63 lower-case letters, digits, "-" or "_", a letter or digit first'
        ) -%}
    {%- endif -%}
    {{ return(tenant_id) }}
{%- endmacro %}


{% macro this_runs_tenant_id() -%}
    {#-
    The one tenant that the run is narrowed to, or none. A null on the command line is refused: it
    may have been typed as a tenant's name, and would run all tenants.
    -#}
    {%- set given = invocation_args_dict.get('vars') -%}
    {%- if given is mapping and given.get('tenant_id', '') is none -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be a text, and YAML reads what was given as no value at all: put it in '
            ~ 'quotes, or leave tenant_id out to run all tenants'
        ) -%}
    {%- endif -%}
    {{ return(checked_tenant_id(var('tenant_id', none))) }}
{%- endmacro %}
