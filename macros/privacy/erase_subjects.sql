{% macro erase_subjects(tenant_id, tables, subjects) -%}
    {#-
    Deletes people's rows from tables that dbt writes and rewrites the files whose rows deletion vectors
    only mark, so that no live file holds them. To be run as an operation.

      tenant_id   whose people they are
      tables      names of tables, as `schema.table`, with columns that name people and a `tenant_id`
      subjects    location of a Parquet file with a column `subject`

    Deletes by a join: a statement with identifiers in it would leave them in the table's log. An
    identifier is compared as text: one of digits is not every number that is written with them.
    -#}
    {%- do register_tables() -%}
    {%- set tenant_id = checked_tenant_id(tenant_id) -%}
    {%- set location = subjects | replace('s3://', 's3a://') | replace('`', '') -%}
    {%- for name in tables if modules.re.fullmatch('[a-z0-9_]+\\.[a-z0-9_]+', name) -%}
        {%- set schema, table = name.split('.') -%}
        {%- set relation = adapter.get_relation(target.database, schema, table) -%}
        {%- if relation is not none -%}
            {%- set is_subject = [] -%}
            {%- set has_no_user = ['true'] -%}
            {%- for column in identifying_columns(relation) if is_of_users(column) -%}
                {%- do is_subject.append(held_text(column) ~ ' = gone.subject') -%}
                {%- do has_no_user.append(held_text(column) ~ ' is null') -%}
            {%- endfor -%}
            {%- for column in identifying_columns(relation) if not is_of_users(column) -%}
                {%- do is_subject.append(
                    '(' ~ held_text(column) ~ ' = gone.subject and (not gone.is_tied or '
                    ~ has_no_user | join(' and ') ~ '))'
                ) -%}
            {%- endfor -%}
            {%- if is_subject -%}
            {%- do run_query(
                'merge into ' ~ relation ~ ' as held using (select subject, min(is_tied) as is_tied from parquet.`'
                ~ location ~ "` group by subject) as gone on held.tenant_id = '" ~ tenant_id
                ~ "' and (" ~ is_subject | join(' or ') ~ ') when matched then delete'
            ) -%}
            {%- endif -%}
            {#- only a partition can be named; an engineer's own table may have no tenants' -#}
            {%- set partitions = run_query('describe detail ' ~ relation).columns['partitionColumns'][0] -%}
            {%- do run_query(
                'reorg table ' ~ relation
                ~ (" where tenant_id = '" ~ tenant_id ~ "'" if "tenant_id" in partitions else '')
                ~ ' apply (purge)'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{% macro held_text(column) -%}
    {{ return('cast(held.`' ~ column | replace('`', '``') ~ '` as string)') }}
{%- endmacro %}


{% macro is_of_users(column) -%}
    {#- Whether a column that names a person names users, and no devices. -#}
    {{ return(spelling_of(column) == 'userid') }}
{%- endmacro %}


{% macro spelling_of(column) -%}
    {{ return(column.split(':')[0] | lower | replace('_', '') | replace('-', '')) }}
{%- endmacro %}


{% macro identifying_columns(relation) -%}
    {#- The columns that name a person in any spelling, as `lakehouse.contracts.identifying` has it. -#}
    {%- set found = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- if spelling_of(column.name) in ['userid', 'anonymousid'] -%}{%- do found.append(column.name) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
