{% materialization on_request, adapter='spark' -%}
    {#-
    A table of evaluation snapshots. A run for which nobody asked (variable `evaluation`) does
    nothing. Else the rows of the tenants asked for are replaced in one commit, and those of all
    others stay: a published snapshot reads the version that it pins.
    -#}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_relation(this) -%}

    {{ run_hooks(pre_hooks) }}

    {%- if not evaluation_requests() -%}
        {%- call noop_statement('main', 'NOT ASKED FOR', 'NOT ASKED FOR', 0) -%}{%- endcall -%}
    {%- elif existing is none or should_full_refresh() -%}
        {%- call statement('main') -%}
            {{ create_on_request_sql(target_relation, sql) }}
        {%- endcall -%}
    {%- else -%}
        {%- set columns = adapter.get_columns_in_relation(existing) | map(attribute='name') | list -%}
        {%- do check_evaluation_columns(columns) -%}
        {%- call statement('main') -%}
            insert into {{ target_relation }} replace where {{ of_evaluated_tenants() }}
            select {{ columns | join(', ') }} from ({{ sql }})
        {%- endcall -%}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro create_on_request_sql(relation, sql) -%}
    {#- Statistics on no personal column, and the partition column last: see `delta_create_sql`. -#}
    create or replace table {{ relation }}
    using delta
    partitioned by ({{ config.get('partition_by') }})
    tblproperties (
        {%- set statistics = config.get('stats_columns', []) %}
        'delta.dataSkippingStatsColumns' = '{{ statistics | join(",") }}',
        {%- if not statistics %}
        'delta.dataSkippingNumIndexedCols' = '0',
        {%- endif %}
        'delta.enableDeletionVectors' = 'false'
        {%- if config.get('log_retention') %},
        'delta.logRetentionDuration' = '{{ config.get("log_retention") }}'
        {%- endif %}
    )
    as select * except ({{ config.get('partition_by') }}), {{ config.get('partition_by') }}
    from ({{ sql }})
{%- endmacro %}


{% macro check_evaluation_columns(columns) -%}
    {%- if model.columns.keys() | sort != columns | sort -%}
        {%- do exceptions.raise_compiler_error(
            this ~ ' has not the documented columns: make every evaluation snapshot anew, the first '
            ~ 'with `eta evaluation make --full-refresh`'
        ) -%}
    {%- endif -%}
{%- endmacro %}
