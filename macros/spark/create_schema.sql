{% macro spark__create_schema(relation) -%}
    {#-
    Instead of dbt-spark's, which leaves the place to the server: every schema is a folder of the lake,
    whoever comes first. A schema that lies elsewhere is refused: no reader would look there.

      relation   of the schema, or its name
    -#}
    {%- set schema = relation if relation is string else relation.schema -%}
    {%- call statement('create_schema') -%}
        {{ create_schema_sql(schema) }}
    {%- endcall -%}
    {%- do refuse_other_location(schema) -%}
{%- endmacro %}


{% macro create_schema_sql(schema) -%}
    create schema if not exists `{{ schema }}` location '{{ known_lake().location }}/{{ schema | lower }}'
{%- endmacro %}


{% macro refuse_other_location(schema) -%}
    {#- Raises an error for a schema that is there and not at its place in the lake. -#}
    {%- set wanted = known_lake().location ~ '/' ~ schema | lower -%}
    {%- for row in run_query('describe schema extended `' ~ schema ~ '`').rows
        if row[0] == 'Location' and plain_location(row[1]) != plain_location(wanted) -%}
        {%- set todo = 'give what lies in it a schema of its own (`+schema`)' if schema == 'default'
            else 'copy the tables that you need out of it, `drop schema ' ~ schema ~ ' cascade` there, '
            ~ 'and run again; it is then made at ' ~ wanted -%}
        {%- do exceptions.raise_compiler_error(
            'the schema ' ~ schema ~ ' of this Spark lies at ' ~ row[1] ~ ', where no reader of the lake '
            ~ 'looks: ' ~ todo
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{% macro plain_location(text) -%}
    {#- A location in one spelling: `file:/a`, `file:///a` and `/a` are one, as `s3` and `s3a` are. -#}
    {%- set text = modules.re.sub('^file:/+', '/', text) -%}
    {%- set text = modules.re.sub('^s3[an]:', 's3:', text) -%}
    {{ return(text.replace('%20', ' ').rstrip('/')) }}
{%- endmacro %}


{% macro known_lake() -%}
    {#- What the project's plugin says of the lake: its `location`, and `tables` by schema. -#}
    {{ return(fromjson(env_var('ETA_LAKE_CONTENT'))) }}
{%- endmacro %}
