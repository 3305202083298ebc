{% macro erase_subjects(tenant_id, tables, subjects) -%}
    {#-
    Deletes people's rows from tables of the models and writes the files anew that deletion vectors
    only mark, so that no live file holds them. To be run as an operation.

      tenant_id   whose people they are
      tables      names of tables, as `schema.table`, with a column `user_id`
      subjects    location of a Parquet file with a column `subject`

    Deletes by a join: a statement with identifiers in it would leave them in the table's log.
    -#}
    {%- set tenant_id = checked_tenant_id(tenant_id) -%}
    {%- set location = subjects | replace('s3://', 's3a://') | replace('`', '') -%}
    {%- for name in tables if modules.re.fullmatch('[a-z0-9_]+\\.[a-z0-9_]+', name) -%}
        {%- set schema, table = name.split('.') -%}
        {%- set relation = adapter.get_relation(target.database, schema, table) -%}
        {%- if relation is not none -%}
            {%- do run_query(
                'merge into ' ~ relation ~ ' as held using (select distinct subject from parquet.`'
                ~ location ~ "`) as gone on held.tenant_id = '" ~ tenant_id
                ~ "' and held.user_id = gone.subject when matched then delete"
            ) -%}
            {%- do run_query(
                'reorg table ' ~ relation ~ " where tenant_id = '" ~ tenant_id ~ "' apply (purge)"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
