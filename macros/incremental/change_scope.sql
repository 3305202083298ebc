{% macro change_scope(
    reads, parameters=none, replaces_users=false, time=none, floor=none, keeps_expired=none,
    only_tenants={}
) -%}
    {#-
    What this run of the model has to recompute. `reads` maps each parent (a model, or a source as
    `schema.table`) to what its changed rows touch: a mapping from columns of the model's rows to
    expressions over the parent's (a list where the names are the same). An empty list touches the
    whole tenant. Changes come from the parents' change feeds, from the version that the table has
    read on, in the order of commits; no time in the data decides what is new. `floor` names a time of
    the model's rows and an expression over the parent's: no older row is touched. Where it is part of the
    key, files with older rows alone are not opened; the model's SQL says what else it leaves out by it.
    `keeps_expired` names a source whose rows expire: what the table holds of those stays.
    `only_tenants` has, for parents of which the model reads some tenants alone, these (none: all). Whom of them it
    begins to read another parent touches as a whole.

    With `replaces_users` the table's rows of the touched users are removed and written again in one
    commit, and `reads` says how to find the users:
      ['user_hash']                       those of the changed rows
          `when`                          those of the changed rows for which the condition holds
          `removes`                       a new row, too, may take all rows of its user away
      {'user_hash': …, 'since': …}        the same, from the earliest of these times on (with `time`)
      {'item_id': …, 'users_of': model}   those that have the item in that model's table
          `after`                         there, later than the change of the item
      {'since': …, 'users_of': model}     those with rows in that model's table at or after the time
    `time` is the column of the model's rows that `since` is about: rows before it stay as they are.

    Outside of a run (`dbt compile`, `show`, `docs generate`, unit tests) the scope is everything, and
    the model reads as what it is. Returns a mapping:
      mode        `all` tenants, the `changed` rows, all rows of the changed tenants (`rewrite`), or `nothing`
      reason      why, in words
      is_rebuild  whether the table is rebuilt instead of changed
      tenants     the tenants with changes, in the modes `changed` and `rewrite`
      whole       those of them that are touched as a whole
      feeds       what else is touched: mappings of `columns` and the `select` of values, each once
      touched     the view of the touched users, if users are replaced; see `find_touched_users`
      floor       the earliest touched time, or none
      changes     per changed parent table: its change feed, to select from
      fresh       the parent table whose feed has all rows of all touched users, or of all touched keys that
                  the model's table does not hold yet; or none
      is_small    whether the touched values are few enough to be sent to every task
      removes     whether touched users may have lost rows
      users       how many users are touched
      rows        how many interactions the touched users or tenants have, or rows of the parents changed, about
      kept        the views that the session keeps until the commit; see `keep_rows`
      tenant_id   the one tenant the run is narrowed to, or none
      target      the model's table if it stays (rows may have to be deleted from it), or none
      from, to    per source table: the Delta version the table holds, and the one this run reads
      held, read  per parent table: version and commit that the table has read, and that this run reads
      commits     per changed parent table: its commits since, the newest first
      parameters  what the table is a function of besides its inputs, as text
      logic       fingerprint of the model's SQL
      marks_rows  whether the table has deletion vectors; see `mark_rows`
    A source counts with its newest version, a model with the versions recorded in its table.
    -#}
    {%- set parameters = tojson(parameters or {}, sort_keys=True) -%}
    {%- set scope = {
        'mode': 'all', 'reason': '', 'is_rebuild': false, 'tenants': [], 'whole': [],
        'feeds': [], 'touched': none, 'floor': none, 'changes': {}, 'fresh': none, 'is_small': true,
        'removes': false, 'users': 0, 'rows': 0, 'kept': [], 'tenant_id': none, 'target': none, 'from': {},
        'to': {}, 'held': {}, 'read': {}, 'commits': {}, 'parameters': parameters, 'logic': none, 'marks_rows': false,
        'replaces_users': replaces_users, 'time': time, 'keeps_expired': keeps_expired,
        'only_tenants': only_tenants,
    } -%}
    {%- if not execute or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(scope) }}
    {%- endif -%}
    {%- set tenant_id = this_runs_tenant_id() -%}
    {%- do scope.update({'tenant_id': tenant_id}) -%}
    {%- if not (is_run() or is_plan()) -%}
        {{ return(scope) }}
    {%- endif -%}
    {%- do refuse_partial_input() -%}
    {%- do scope.update({'logic': logic_of_this_model()}) -%}
    {%- do graph.setdefault('eta_scopes', {}).update({model.name: scope}) -%}
    {%- do find_scope(scope, reads, floor) -%}
    {%- if is_plan() -%}{%- do log_plan(scope, reads.keys() | list) -%}{%- endif -%}
    {{ return(scope) }}
{%- endmacro %}


{% macro find_scope(scope, reads, floor) -%}
    {#- Sets what a run has to do, from the state of the model's table and of its parents'. -#}
    {%- set tenant_id = scope.tenant_id -%}

    {%- set parents = {} -%}
    {%- for name in reads -%}
        {%- set parent = built_parent(name, tenant_id) -%}
        {%- if parent is not none -%}
            {%- do parents.update({name: parent}) -%}
            {%- do scope['read'].update({parent.table: parent.state}) -%}
            {%- for source, version in parent.sources.items() -%}
                {%- do scope['to'].update({source: [version, scope['to'].get(source, version)] | min}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}

    {%- set relation = load_relation(this) -%}
    {%- if relation is none or (should_full_refresh() and tenant_id is none) -%}
        {%- do scope.update({
            'is_rebuild': true,
            'reason': 'there is no table yet' if relation is none else 'a full refresh was asked for',
        }) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- do scope.update({'target': relation}) -%}
    {%- set properties = table_properties(relation) -%}
    {%- do scope.update({
        'from': recorded_versions(properties),
        'held': recorded_states(properties),
        'marks_rows': properties.get('delta.enableDeletionVectors') == 'true',
    }) -%}
    {%- set reason = why_all(scope, parents, properties) -%}
    {%- if reason -%}
        {%- do scope.update({'reason': reason}) -%}
        {%- do refuse_if_strict(reason) -%}
        {%- if scope.replaces_users and tenant_id is none -%}{%- do scope.update({'is_rebuild': true}) -%}{%- endif -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set changed = [] -%}
    {%- for name, parent in parents.items() if set_changes(scope, parent) -%}{%- do changed.append(name) -%}{%- endfor -%}
    {%- if is_found_by_tenants(scope) -%}
        {%- do set_rewrite(scope) -%}
    {%- elif scope.replaces_users -%}
        {%- do find_users(scope, parents, reads, changed) -%}
    {%- else -%}
        {%- do find_changes(scope, parents, reads, changed, floor) -%}
    {%- endif -%}
{%- endmacro %}


{% macro is_run() -%}
    {#- Whether tables are to be changed; else a model is rendered to be read, or tested on given rows. -#}
    {{ return(execute and flags.WHICH in ['run', 'build', 'retry'] and not var('rebuild', false)) }}
{%- endmacro %}


{% macro is_plan() -%}
    {#- Whether the models are compiled to say what a run would do (`eta plan`). -#}
    {{ return(execute and flags.WHICH == 'compile' and var('eta_plan', false)) }}
{%- endmacro %}


{% macro refuse_partial_input() -%}
    {#- A run that hides rows from the models would be taken for one in which they had vanished. -#}
    {%- for option in ['empty', 'sample'] if invocation_args_dict.get(option) -%}
        {%- do exceptions.raise_compiler_error(
            '--' ~ option ~ ' hides rows from the models, and ' ~ model.name ~ ' keeps what it has read: '
            ~ 'the hidden rows would be taken for deleted ones. Use `dbt compile`, `dbt show` or `dbt test '
            ~ '--select test_type:unit` to try a model; `--vars "{tenant_id: …}"` to run it on a part'
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro refuse_if_strict(reason) -%}
    {#- With the variable `strict` nothing is recomputed as a whole that was not requested. -#}
    {%- set is_asked_for = should_full_refresh() or this_runs_tenant_id() is not none -%}
    {%- if is_run() and var('strict', false) and not is_asked_for -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' would be recomputed for all tenants: ' ~ reason ~ '. If that is meant, run '
            ~ 'it without `strict`, or `dbt run --full-refresh --select ' ~ model.name ~ '+`'
        ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro why_all(scope, parents, properties) -%}
    {#-
    Why the rows of all tenants (or of the one the run is narrowed to) have to be recomputed, or
    nothing when it is enough to follow the parents' changes. A table whose SQL or variables are
    others is rebuilt, as its columns may be others too; rows kept of an expired source stay.
    -#}
    {%- set parameters = properties.get('eta.parameters', scope.parameters) -%}
    {%- set is_other = properties.get('eta.logic') != scope.logic or parameters != scope.parameters -%}
    {%- if is_other and scope.tenant_id is not none -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ (
                ' was built with ' ~ parameters ~ ', this run has ' ~ scope.parameters
                if parameters != scope.parameters else ' was built by other SQL'
            ) ~ ': run it for all tenants (without tenant_id) when these change'
        ) -%}
    {%- elif is_other -%}
        {%- do scope.update({'is_rebuild': not scope.keeps_expired}) -%}
        {{ return(
            'variables changed' if parameters != scope.parameters
            else 'its SQL changed' if 'eta.logic' in properties else 'its SQL was not recorded'
        ) }}
    {%- elif should_full_refresh() -%}
        {{ return('a full refresh was asked for') }}
    {%- elif scope.tenant_id is not none -%}
        {#- the versions say nothing about one tenant: they stay in a narrowed run -#}
        {{ return('the run is narrowed to one tenant') }}
    {%- endif -%}
    {{ return(unread_parent(scope, parents)) }}
{%- endmacro %}


{% macro logic_of_this_model() -%}
    {#-
    A fingerprint of the model's SQL as it reads outside of a run: macros and variables are in it,
    lines that are only a comment, white space and what this run has to do are not.
    -#}
    {%- set plain = graph.setdefault('eta_plain', {}) -%}
    {%- do plain.update({model.name: true}) -%}
    {%- set lines = [] -%}
    {%- for line in render(model.raw_code).splitlines() if not line.strip().startswith('--') -%}
        {%- do lines.append(line) -%}
    {%- endfor -%}
    {%- do plain.pop(model.name) -%}
    {{ return(local_md5((lines | join(' ')).split() | join(' '))) }}
{%- endmacro %}
