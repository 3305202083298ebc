{% materialization delta_merge, adapter='spark' -%}
    {#-
    One table, one commit. The model selects the rows that its scope covers (`change_scope`). Of a model
    that `replaces_users` the commit removes the touched users' rows and adds these; of any other it
    updates, inserts and deletes what the table holds otherwise. In the mode `rewrite` all rows of the
    tenants are replaced, and a table that is to be rebuilt is created or replaced. What was read is
    recorded in the table's properties after the commit: a run killed in between does the same work
    again and comes to the same rows.
    -#}
    {%- do refuse_unsupported_config() -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set scope = graph.get('eta_scopes', {}).get(model.name) -%}
    {%- if not scope -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' does not call change_scope(): nothing says what the run covers'
        ) -%}
    {%- endif -%}

    {{ run_hooks(pre_hooks) }}

    {%- if scope.is_rebuild -%}
        {%- call statement('main') -%}
            {{ delta_create_sql(target_relation, sql, scope) }}
        {%- endcall -%}
        {%- do check_columns(target_relation, adapter.get_columns_in_relation(target_relation) | map(attribute='name') | list) -%}
        {%- do report_result('REBUILT', scope.reason) -%}
    {%- else -%}
        {%- do add_columns(target_relation, scope) -%}
        {%- if scope.mode == 'nothing' -%}
            {%- call noop_statement('main', 'UNCHANGED', 'UNCHANGED', 0) -%}{%- endcall -%}
        {%- else -%}
            {%- set columns = adapter.get_columns_in_relation(target_relation) | map(attribute='name') | list -%}
            {%- do check_columns(target_relation, columns) -%}
            {%- if scope.keeps_expired and scope.mode == 'all' -%}
                {%- do check_query_columns(target_relation, sql, columns) -%}
            {%- endif -%}
            {%- set is_tuned = tune_for_few_rows(scope) -%}
            {%- if scope.mode == 'rewrite' or (scope.replaces_users and scope.mode == 'all') -%}
                {%- call statement('main', fetch_result=true) -%}
                    {{ delta_replace_sql(target_relation, sql, columns, scope) }}
                {%- endcall -%}
                {%- do report_result('REPLACED', covered(scope), counted_rows()) -%}
            {%- elif scope.replaces_users -%}
                {%- do mark_rows(target_relation, scope) -%}
                {%- do replace_users(target_relation, sql, columns, scope) -%}
            {%- else -%}
                {%- do mark_rows(target_relation, scope) -%}
                {%- call statement('main', fetch_result=true) -%}
                    {{ delta_merge_sql(target_relation, sql, columns, scope) }}
                {%- endcall -%}
                {%- do report_result('CHANGED', covered(scope), counted_rows()) -%}
            {%- endif -%}
            {%- if is_tuned -%}{%- do tune_for_many_rows() -%}{%- endif -%}
        {%- endif -%}
        {%- if scope.tenant_id is none and not (
            scope.mode == 'nothing' and scope['from'] == scope['to'] and scope.held == scope.read
        ) -%}
            {%- call statement('watermark') -%}
                alter table {{ target_relation }} set tblproperties ({{ run_properties(scope) }})
            {%- endcall -%}
        {%- endif -%}
    {%- endif -%}

    {%- do drop_kept_rows(scope) -%}
    {%- do forget_parent(model.name) -%}

    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro delta_create_sql(relation, sql, scope) -%}
    create or replace table {{ relation }}
    using delta
    partitioned by ({{ config.get('partition_by') }})
    tblproperties (
        {#- no minimum and maximum of a personal column may enter the log: they outlive the row -#}
        {%- set statistics = config.get('stats_columns', []) %}
        'delta.dataSkippingStatsColumns' = '{{ statistics | join(",") }}',
        {%- if not statistics %}
        'delta.dataSkippingNumIndexedCols' = '0',
        {%- endif %}
        'delta.enableChangeDataFeed' = '{{ 'true' if config.get('change_feed') else 'false' }}',
        {#- see `mark_rows` -#}
        'delta.enableDeletionVectors' = 'false'
        {%- if config.get('log_retention') %},
        {#- a snapshot that pins a version needs the log's entries up to it -#}
        'delta.logRetentionDuration' = '{{ config.get("log_retention") }}'
        {%- endif %},
        {{ run_properties(scope) }}
    )
    {#- The partition column goes last: a local session's catalogue takes the last columns for the
        partition's when a table is replaced by one with other columns, and fails on any else. #}
    as select * except ({{ config.get('partition_by') }}), {{ config.get('partition_by') }}
    from ({{ sql }})
{%- endmacro %}


{% macro mark_rows(relation, scope) -%}
    {#-
    From now on rows that leave the table are marked in deletion vectors, their files not copied: before the first
    commit that replaces single users (Delta's `replaceOn` finds their files by no other way where it shuffles
    the table), or that merges into a large table. Until then no read has to ask the log for vectors.
    -#}
    {%- if config.get('deletion_vectors') and not scope.marks_rows and (
        scope.replaces_users or interactions_of().rows >= var('few_rows') | int
    ) -%}
        {%- do run_query('alter table ' ~ relation ~ " set tblproperties ('delta.enableDeletionVectors' = 'true')") -%}
    {%- endif -%}
{%- endmacro %}


{% macro delta_replace_sql(relation, sql, columns, scope) -%}
    {#- Replaces all rows of the scope's tenants; no file of another tenant is read or written. -#}
    insert into {{ relation }} replace where {{ in_tenants(scope) }}
    select {{ columns | join(', ') }} from ({{ sql }})
{%- endmacro %}


{% macro tune_for_few_rows(scope) -%}
    {#-
    A run on few rows is planned once (to plan again after every shuffle, Spark's adaptive execution, cost a
    third of it) and in few tasks; on still fewer without code of its own for each expression, which took
    another third. In this thread's local session alone; returns whether it is so.
    -#}
    {%- set is_tuned = target.name == 'dev' and is_on_few_rows(scope) -%}
    {%- if is_tuned -%}
        {%- do run_query('set spark.sql.adaptive.enabled = false') -%}
        {%- if scope.rows < var('interpreted_rows') | int -%}
            {%- do run_query('set spark.sql.codegen.factoryMode = NO_CODEGEN') -%}
        {%- endif -%}
        {%- do run_query(
            'set spark.sql.shuffle.partitions = '
            ~ [1 if scope.rows < 20000 else 2, scope.rows // 100000, interactions_of().rows // 2000000] | max
        ) -%}
    {%- endif -%}
    {{ return(is_tuned) }}
{%- endmacro %}


{% macro is_on_few_rows(scope) -%}
    {#-
    Whether a run is on few rows. What one by changes writes is then sent to every task: otherwise Spark
    shuffles the whole table to find the rows that leave, for it does not know the size of what comes.
    -#}
    {{ return(scope.mode in ['changed', 'rewrite'] and scope.rows < var('few_rows') | int) }}
{%- endmacro %}


{% macro tune_for_many_rows() -%}
    {%- do run_query('reset spark.sql.adaptive.enabled') -%}
    {%- do run_query('reset spark.sql.codegen.factoryMode') -%}
    {%- do run_query('reset spark.sql.shuffle.partitions') -%}
{%- endmacro %}


{% macro delta_merge_sql(relation, sql, columns, scope) -%}
    {#-
    The merge that brings what changed into the table; without a difference nothing is committed. Rows that
    are all new are merged too, not appended: two runs at once must conflict, not insert twice.
    -#}
    {%- set key = config.require('unique_key') -%}
    merge into {{ relation }} as held
    using (
        select {{ '/*+ broadcast(changes) */ ' if is_on_few_rows(scope) }}* from (
            {{ changed_rows_sql(sql, columns, scope) }}
        ) as changes
    ) as fresh
    on {% for name in key %}held.{{ name }} = fresh.{{ name }} and {% endfor %}
        {{ in_tenants(scope, 'held') }}{{ is_held_above_floor(scope) }}
    {#- a merge that only inserts reads the table's keys once, and its change feed is its files -#}
    {%- if not scope.fresh %}
    when matched and fresh.is_current is null then delete
    {%- if columns | reject('in', key) | list %}
    when matched then update set *
    {%- endif %}
    {%- endif %}
    when not matched and fresh.is_current then insert *
{%- endmacro %}


{% macro add_columns(relation, scope) -%}
    {#-
    Adds the columns that the model's `added_columns` names and a table of an earlier release lacks: name →
    type, and its rows have nulls there and must be right with them; or name → `type` and `value`, SQL
    that every row gets, those too whose raw row has expired.
    -#}
    {%- set added = config.get('added_columns', {}) -%}
    {%- if added -%}
        {%- set held = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
        {%- for name, column in added.items() -%}
            {%- if name not in held -%}
                {%- set type = column.type if column is mapping else column -%}
                {%- do run_query('alter table ' ~ relation ~ ' add columns (' ~ name ~ ' ' ~ type ~ ')') -%}
            {%- endif -%}
            {#- the first run of other SQL is one of all rows, and is repeated if it was killed -#}
            {%- if column is mapping and scope.mode == 'all' and scope.tenant_id is none -%}
                {%- do run_query(
                    'update ' ~ relation ~ ' set ' ~ name ~ ' = ' ~ column.value ~ ' where ' ~ name ~ ' is null'
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro check_columns(relation, columns) -%}
    {#- A table has the columns that its model's YAML file describes: what is read of it can be looked up. -#}
    {%- set documented = model.columns.keys() | list -%}
    {%- set missing = documented | reject('in', columns) | list -%}
    {%- set surplus = columns | reject('in', documented) | list -%}
    {%- if missing or surplus -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ ': documented but not in the table: ' ~ missing ~ '; in the table but not documented: '
            ~ surplus ~ '. Make ' ~ (model.patch_path or 'its YAML file') | replace('eta://', '')
            ~ ' and the SQL agree, then run: dbt run --select ' ~ model.name ~ '+'
        ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro check_query_columns(relation, sql, columns) -%}
    {#- A merge leaves out columns that the table lacks, so other SQL must not have any. -#}
    {%- set selected = run_query('select * from (' ~ sql ~ '\n) limit 0').column_names | list -%}
    {%- set added = selected | reject('in', columns) | list -%}
    {%- set removed = columns | reject('in', selected) | list -%}
    {%- if added or removed -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' selects other columns than ' ~ relation ~ ' has (new: ' ~ added ~ ', gone: ' ~ removed
            ~ '). The table keeps rows whose raw rows have expired. Name new columns in `added_columns` of its '
            ~ 'config, which keeps those rows, or run: dbt run --full-refresh --select ' ~ model.name
            ~ '+, which begins with what raw still has'
        ) -%}
    {%- endif -%}
{%- endmacro %}
