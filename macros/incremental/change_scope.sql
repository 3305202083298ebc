{% macro change_scope(
    reads, parameters=none, since=none, time=none, users_of=none, keeps_expired=none
) -%}
    {#-
    What this run of the model has to recompute. `reads` maps each parent (a model, or a source as
    `schema.table`) to what its changed rows touch: a mapping from columns of the model's rows to
    expressions over the parent's (a list where the names are the same). The rows with those values
    are touched; with the entry `after`, only those later than its expression; with the entry `rows`,
    the model takes the changed rows themselves over (`newest_rows`), and they touch nothing else. An
    empty list touches the whole tenant. `since` maps a parent to a column of times: the tenant's rows
    whose `time` is at or after the earliest are touched. Changes come from the parents' change feeds,
    from the version that the table has read on, in the order of commits; no time in the data decides
    what is new. `users_of` names a parent that has all users: when a run touches more than
    `rewrite_share` of them, the table's rows of the changed tenants are recomputed and replaced,
    which then costs less than to find and merge them. `keeps_expired` names a source whose rows
    expire: what the table holds of those stays.

    Outside of a run (`dbt compile`, `show`, `docs generate`, unit tests) the scope is everything, and
    the model reads as what it is. Returns a mapping:
      mode        `all` tenants, the `changed` ones, all rows of these (`rewrite`), or `nothing`
      reason      why, in words
      is_rebuild     whether the table is rebuilt instead of changed
      tenants     the tenants with changes, in the modes `changed` and `rewrite`
      whole       those of them that are touched as a whole
      since       tenant → earliest time from which on its rows are touched
      time        the column of the model's rows that `since` is about
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
      held, read  per parent table: version and commit that the table has read, and that this run reads
      parameters  what the table is a function of besides its inputs, as text
      logic       fingerprint of the model's SQL
    A source counts with its newest version, a model with the versions recorded in its table.
    -#}
    {%- set parameters = tojson(parameters or {}, sort_keys=True) -%}
    {%- set scope = {
        'mode': 'all', 'reason': '', 'is_rebuild': false, 'tenants': [], 'whole': [], 'since': {}, 'time': time,
        'feeds': [], 'after': none, 'changes': {}, 'is_small': true, 'repeats': false, 'deletes': 0,
        'users': 0, 'tenant_id': none, 'target': none, 'from': {}, 'to': {}, 'held': {}, 'read': {},
        'parameters': parameters, 'logic': none, 'keeps_expired': keeps_expired, 'is_marked': false,
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
    {%- do find_scope(scope, reads, since or {}, users_of) -%}
    {%- if is_plan() -%}{%- do log_plan(scope, reads.keys() | list + (since or {}).keys() | list) -%}{%- endif -%}
    {{ return(scope) }}
{%- endmacro %}


{% macro find_scope(scope, reads, since, users_of) -%}
    {#- Sets what a run has to do, from the state of the model's table and of its parents'. -#}
    {%- set tenant_id = scope.tenant_id -%}

    {%- set parents = {} -%}
    {%- for name in reads.keys() | list + since.keys() | list -%}
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
    }) -%}
    {%- set reason = why_all(scope, parents, properties) -%}
    {%- if reason -%}
        {%- do scope.update({'reason': reason}) -%}
        {%- do refuse_if_strict(reason) -%}
    {%- else -%}
        {%- do find_changes(scope, parents, reads, since) -%}
        {%- if scope.mode == 'changed' and users_of and touches_most(scope, users_of) -%}
            {%- do scope.update({'mode': 'rewrite', 'changes': {}, 'deletes': 0}) -%}
        {%- endif -%}
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
