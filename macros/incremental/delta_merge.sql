{% materialization delta_merge, adapter='spark' -%}
    {#-
    One table, one commit. The model selects the rows of this run with an `is_current` column (see
    `with_tombstones`, which leaves unchanged rows out); the commit updates, inserts and deletes. The
    versions read are recorded in the table's properties after the commit: a run killed in between
    does the same work again and finds nothing to change.
    -#}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_relation(this) -%}
    {%- set key = config.require('unique_key') -%}
    {%- set scope = fromjson(
        (modules.re.findall('/\\* eta (\\{.*?\\}) \\*/', sql) | last) or '{}'
    ) -%}
    {%- if not scope -%}
        {%- do exceptions.raise_compiler_error(
            this.identifier ~ ' does not end in with_tombstones(): nothing says what the run covers'
        ) -%}
    {%- endif -%}

    {{ run_hooks(pre_hooks) }}

    {%- if existing is none or (should_full_refresh() and scope.tenant_id is none) -%}
        {%- call statement('main') -%}
            {{ delta_create_sql(target_relation, sql, scope) }}
        {%- endcall -%}
    {%- else -%}
        {%- if scope.mode == 'nothing' -%}
            {%- call noop_statement('main', 'UNCHANGED', 'UNCHANGED', 0) -%}{%- endcall -%}
        {%- else -%}
            {%- set columns = adapter.get_columns_in_relation(target_relation) | map(attribute='name') | list -%}
            {%- do check_columns(target_relation, columns) -%}
            {%- call statement('main') -%}
                {{ delta_merge_sql(target_relation, sql, key, columns, scope) }}
            {%- endcall -%}
        {%- endif -%}
        {%- if scope.tenant_id is none and not (
            scope.mode == 'nothing' and scope['from'] == scope['to'] and scope.held == scope.read
        ) -%}
            {%- call statement('watermark') -%}
                alter table {{ target_relation }} set tblproperties ({{ run_properties(scope) }})
            {%- endcall -%}
        {%- endif -%}
    {%- endif -%}

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
        'delta.enableDeletionVectors' = '{{ 'true' if config.get('deletion_vectors') else 'false' }}'
        {%- if scope.tenant_id is none %}, {{ run_properties(scope) }}{% endif %}
    )
    {#- The partition column goes last: a local session's catalogue takes the last columns for the
        partition's when a table is replaced by one with other columns, and fails on any else. #}
    as select * except (is_current, {{ config.get('partition_by') }}), {{ config.get('partition_by') }}
    from ({{ sql }})
{%- endmacro %}


{% macro delta_merge_sql(relation, sql, key, columns, scope) -%}
    merge into {{ relation }} as held
    using ({{ sql }}) as fresh
    on {% for name in key %}held.{{ name }} = fresh.{{ name }} and {% endfor %}
        {{ in_tenants(scope, 'held') }}
    when matched and fresh.is_current is null then delete
    {%- if columns | reject('in', key) | list %}
    when matched then update set *
    {%- endif %}
    when not matched and fresh.is_current then insert *
{%- endmacro %}


{% macro run_properties(scope) -%}
    'eta.parameters' = '{{ scope.parameters }}'
    {%- for source, version in scope.to.items() %},
    'eta.watermark.{{ source }}' = '{{ version }}'
    {%- endfor %}
    {%- for table, version in scope.read.items() %},
    'eta.read.{{ table }}' = '{{ version }}'
    {%- endfor %}
{%- endmacro %}


{% macro check_columns(relation, columns) -%}
    {#- The documented columns and those of the table must be the same: a changed model is rebuilt. -#}
    {%- set documented = model.columns.keys() | list -%}
    {%- set missing = documented | reject('in', columns) | list -%}
    {%- set surplus = columns | reject('in', documented) | list -%}
    {%- if missing or surplus -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ ': documented but not in the table: ' ~ missing ~ '; in the table but not documented: '
            ~ surplus ~ '. After a change of columns run: dbt run --full-refresh --select ' ~ this.identifier ~ '+'
        ) -%}
    {%- endif -%}
{%- endmacro %}
