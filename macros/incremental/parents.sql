{% macro built_parent(name, tenant_id) -%}
    {#- A parent's table as it is now, asked once per run; none, in a narrowed run, if it has none. -#}
    {%- set known = graph.setdefault('eta_parents', {}) -%}
    {%- if name not in known -%}
        {%- do known.update({name: parent_of(name)}) -%}
    {%- endif -%}
    {%- set parent = known[name] -%}
    {%- if tenant_id is none and not is_plan() and (parent is none or parent.sources == {}) -%}
        {%- do exceptions.raise_compiler_error(
            name ~ (' was never built' if parent is none else ' was only ever built for single tenants')
            ~ ', so ' ~ model.name ~ ' cannot be built for all: run `dbt build` without tenant_id first'
        ) -%}
    {%- endif -%}
    {{ return(parent) }}
{%- endmacro %}


{% macro forget_parent(name) -%}
    {#- After a commit to a model's table: what is known of it is out of date. -#}
    {%- do graph.setdefault('eta_parents', {}).pop(name, none) -%}
{%- endmacro %}


{% macro parent_of(name) -%}
    {#-
    A parent's table, its newest version with the time of that commit (`state`), and the source
    versions it holds; none for a model without a table. The time tells apart two tables that have
    the same version: one that was dropped and created again, one restored from a backup.
    -#}
    {%- if '.' in name -%}
        {%- set relation = source(*name.split('.')) -%}
    {%- else -%}
        {%- set relation = load_relation(ref(name)) -%}
        {%- if relation is none -%}{{ return(none) }}{%- endif -%}
    {%- endif -%}
    {%- set table = relation.schema ~ '.' ~ relation.identifier -%}
    {%- set commits = commits_of(table, 8) -%}
    {{ return({
        'name': name,
        'table': table,
        'state': {'version': commits[0].version, 'at': commits[0].at},
        'commits': commits,
        'is_model': '.' not in name,
        'sources': recorded_versions(table_properties(relation)) if '.' not in name else {name: commits[0].version},
    }) }}
{%- endmacro %}


{% macro commits_of(table, count) -%}
    {#-
    The newest commits of a table, the newest first: `version`, `at` (time of the commit), `operation`,
    whether it changed no row (`is_neutral`) or replaced users (see `replace_users_sql`), the tenants all of whose
    rows it replaced (`replaced_tenants`, else none), and of a vacuum the milliseconds for which it left unused
    files (`kept_for`).
    -#}
    {%- set commits = [] -%}
    {%- for row in run_query('describe history ' ~ table ~ ' limit ' ~ count).rows -%}
        {#- the condition as Delta spells it: that of `delta_replace_sql`, and none that says more -#}
        {%- set replaced = modules.re.search(
            "predicate.{1,5}[(]tenant_id (= '[^']+'|IN [(]'[^']+'(, '[^']+')*[)])[)](?! )", row['operationParameters'] | string
        ) if row['operation'] == 'WRITE' -%}
        {%- do commits.append({
            'version': row['version'] | int,
            'at': milliseconds_of(row['timestamp']),
            'operation': row['operation'],
            'is_neutral': row['operation'] in [
                'SET TBLPROPERTIES', 'OPTIMIZE', 'VACUUM START', 'VACUUM END', 'ADD COLUMNS', 'COMPUTE STATS'
            ],
            'replaces_users': 'held.user_hash = fresh.user_hash' in row['operationParameters'] | string,
            'replaced_tenants': modules.re.findall("'([^']+)'", replaced.group(1)) if replaced else none,
            'kept_for': modules.re.findall(
                'etentionMillis[^0-9]+([0-9]+)', row['operationParameters'] | string
            ) | map('int') | min,
        }) -%}
    {%- endfor -%}
    {{ return(commits) }}
{%- endmacro %}


{% macro replaced_tenants(scope, parent) -%}
    {#-
    The tenants all of whose rows the parent's commits since have replaced, if they did nothing else: then
    there is nothing to learn from its change feed. Else none.
    -#}
    {%- set tenants = [] -%}
    {%- for commit in scope.commits[parent.table] if not commit.is_neutral -%}
        {%- if commit.replaced_tenants is none -%}{{ return(none) }}{%- endif -%}
        {%- do tenants.extend(commit.replaced_tenants) -%}
    {%- endfor -%}
    {{ return(tenants | unique | map('string') | list) }}
{%- endmacro %}


{% macro is_earlier(commit, other, milliseconds) -%}
    {#- Whether a commit was more than so many milliseconds before another one. -#}
    {%- set time = modules.datetime.datetime.fromisoformat -%}
    {{ return(time(other.at) - time(commit.at) > modules.datetime.timedelta(milliseconds=milliseconds)) }}
{%- endmacro %}


{% macro milliseconds_of(timestamp) -%}
    {#- A time of a commit as text, the same whether the server hands it over as a time or as text. -#}
    {%- set seconds, _, fraction = (timestamp | string)[:26].replace('T', ' ').partition('.') -%}
    {{ return(seconds[:19] ~ '.' ~ fraction.split('+')[0][:3].ljust(3, '0')) }}
{%- endmacro %}


{% macro unread_parent(scope, parents) -%}
    {#-
    Why the parents' change feeds do not say what is new: a parent that the table never read, that is
    another table than it read, or that was rebuilt since. Nothing if they do.
    -#}
    {%- for name, parent in parents.items() -%}
        {%- set held = scope.held.get(parent.table) -%}
        {%- if held is none and name in scope.only_tenants -%}
            {#- a tenant of which the model begins to read it is touched as a whole by its settings -#}
            {%- do scope.held.update({parent.table: parent.state}) -%}
        {%- elif held is none -%}
            {{ return(name ~ ' was never read') }}
        {%- elif held != parent.state -%}
            {%- set behind = parent.state.version - held.version -%}
            {%- set commits = parent.commits if behind < 8 else commits_of(parent.table, behind + 1) -%}
            {%- set commits = commits[:behind + 1] if behind > 0 else [] -%}
            {%- do scope.commits.update({parent.table: commits[:-1]}) -%}
            {%- if not commits or commits[-1].version != held.version or commits[-1].at != held.at -%}
                {{ return(name ~ ' is not the table that was read') }}
            {%- endif -%}
            {%- for commit in commits[:-1] -%}
                {%- if parent.is_model and modules.re.search('CREATE|REPLACE', commit.operation) -%}
                    {{ return(name ~ ' was rebuilt') }}
                {%- elif commit.kept_for is integer and is_earlier(commits[-2], commit, commit.kept_for) -%}
                    {{ return(name ~ ' was vacuumed, and its changes with it') }}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{% macro table_properties(relation) -%}
    {%- set properties = {} -%}
    {%- for row in run_query('show tblproperties ' ~ relation).rows -%}
        {%- do properties.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {{ return(properties) }}
{%- endmacro %}


{% macro recorded_versions(properties) -%}
    {#- The source versions that a table holds, from its properties: source → version. -#}
    {%- set found = {} -%}
    {%- for name, value in properties.items() if name.startswith('eta.watermark.') -%}
        {%- do found.update({name['eta.watermark.' | length:]: value | int}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro recorded_states(properties) -%}
    {#- What a table has read of its parents, from its properties: table → `version` and `at`. -#}
    {%- set found = {} -%}
    {%- for name, value in properties.items() if name.startswith('eta.read.') -%}
        {%- set version, _, at = value.partition('@') -%}
        {%- do found.update({name['eta.read.' | length:]: {'version': version | int, 'at': at}}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro run_properties(scope) -%}
    {#- What a table records of the run: what it is made with and, if of all tenants, what it has read. -#}
    'eta.parameters' = '{{ scope.parameters }}',
    'eta.logic' = '{{ scope.logic }}'
    {%- if scope.tenant_id is none %}
    {%- for source, version in scope.to.items() %},
    'eta.watermark.{{ source }}' = '{{ version }}'
    {%- endfor %}
    {%- for table, state in scope.read.items() %},
    'eta.read.{{ table }}' = '{{ state.version }}@{{ state.at }}'
    {%- endfor %}
    {%- endif %}
{%- endmacro %}


{% macro location_of(table) -%}
    {#- Where a table of the lake lies: at its name in its schema's folder. -#}
    {%- set location = known_lake().location ~ '/' ~ table.replace('.', '/') -%}
    {%- if '%' in location -%}
        {#- how a server spells such a place it has to say itself -#}
        {%- set location = run_query('describe detail ' ~ table).rows[0]['location'] -%}
    {%- endif -%}
    {{ return(location) }}
{%- endmacro %}


{% macro interactions_of(tenants=none) -%}
    {#-
    How many interactions are staged, as `rows`, of all tenants or (with about how many `users`) of some:
    by it a run tells a small lake or tenant from a large one. Asked once per run.
    -#}
    {%- set known = graph.setdefault('eta_interactions', {}) -%}
    {%- set name = (tenants or ['*']) | join(',') -%}
    {%- if name not in known -%}
        {%- set node = graph.nodes['model.eta.stg_interactions'] -%}
        {#- without a table, as after a first run that failed there, none is staged -#}
        {%- set is_there = adapter.get_relation(node.database, node.schema, node.alias) is not none -%}
        {%- set found = run_query(
            'select count(*)' ~ (', approx_count_distinct(user_hash)' if tenants else '') ~ ' from '
            ~ node.schema ~ '.' ~ node.alias
            ~ (" where tenant_id in ('" ~ tenants | join("', '") ~ "')" if tenants else '')
        ).rows[0] if is_there else [0, 0] -%}
        {%- set answer = {'rows': found[0] | int, 'users': found[1] | int if tenants else none} -%}
        {%- if not is_there -%}{{ return(answer) }}{%- endif -%}
        {%- do known.update({name: answer}) -%}
    {%- endif -%}
    {{ return(known[name]) }}
{%- endmacro %}
