{% macro spark__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {#-
    Instead of dbt-spark's, which drops the table: a table that the catalogue was told of by its place
    keeps its files when it is dropped, and none can be created there. It is replaced by a commit.
    -#}
    {%- if old_relation and not old_relation.is_delta -%}
        {%- do adapter.drop_relation(old_relation) -%}
    {%- endif -%}
    {{ return(create_csv_table(model, agate_table)) }}
{%- endmacro %}


{% macro spark__create_csv_table(model, agate_table) -%}
    {#- Creates the table of a seed; one of Delta that is there is replaced. -#}
    {%- set types = model.config.get('column_types', {}) -%}
    {%- set columns = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append(
            adapter.quote_seed_column(name | string, model.config.get('quote_columns'))
            ~ ' ' ~ types.get(name, adapter.convert_type(agate_table, loop.index0))
        ) -%}
    {%- endfor -%}
    {%- set is_delta = config.get('file_format') == 'delta' -%}
    {%- set sql -%}
        create {{ 'or replace ' if is_delta }}table {{ this.render() }} (
            {{ columns | join(',\n            ') }}
        )
        {{ file_format_clause() }}
        {{ partition_cols(label='partitioned by') }}
        {{ clustered_cols(label='clustered by') }}
        {{ location_clause() }}
        {{ comment_clause() }}
    {%- endset -%}
    {%- call statement('_') -%}
        {{ sql }}
    {%- endcall -%}
    {{ return(sql) }}
{%- endmacro %}
