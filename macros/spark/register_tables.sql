{% macro register_tables() -%}
    {#-
    Makes the lake known to a server that `eta` did not start: its schemas at their places and every
    Delta table in it, whoever made it. dbt looks up what there is before this hook runs, so each
    table is told to it as well: it would be taken for missing, and replaced. The local session's
    catalogue is filled before dbt gets it.
    -#}
    {%- if execute and target.name != 'dev' -%}
        {%- set lake = known_lake() -%}
        {%- set schemas = schemas_of_project() -%}
        {%- for schema in (schemas + lake.tables.keys() | list) | unique | sort -%}
            {%- if schema in schemas -%}
                {%- do create_schema(schema) -%}
            {%- else -%}
                {%- do run_query(create_schema_sql(schema)) -%}
            {%- endif -%}
            {%- set known = run_query('show tables in `' ~ schema ~ '`').columns['tableName'].values() -%}
            {%- for table in lake.tables.get(schema, []) if table not in known -%}
                {%- do run_query(
                    'create table if not exists `' ~ schema ~ '`.`' ~ table ~ "` using delta location '"
                    ~ lake.location ~ '/' ~ schema ~ '/' ~ table ~ "'"
                ) -%}
                {%- do adapter.cache_added(api.Relation.create(
                    schema=schema, identifier=table, type='table', is_delta=true
                )) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro register_views() -%}
    {#-
    Makes the project's views that this command reads and does not make, if their tables are there: a local
    session's catalogue has none of those that another process made.
    -#}
    {%- if execute -%}
        {%- set read = [] -%}
        {%- for name in selected_resources if name in graph.nodes -%}
            {%- do read.extend(graph.nodes[name].depends_on.nodes) -%}
        {%- endfor -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.config.materialized == 'view'
            and node.package_name == project_name and node.unique_id in read
            and node.unique_id not in selected_resources and not is_in_catalogue(node) -%}
            {%- set view = {'sql': node.raw_code, 'is_possible': true} -%}
            {%- for name in node.depends_on.nodes -%}
                {%- set parent = graph.nodes[name] -%}
                {%- if not is_in_catalogue(parent) -%}{%- do view.update({'is_possible': false}) -%}{%- endif -%}
                {#- dbt does not let an operation refer to a model by `ref` -#}
                {%- do view.update({'sql': view.sql.replace(
                    "{{ ref('" ~ parent.name ~ "') }}", parent.schema ~ '.' ~ parent.alias
                )}) -%}
            {%- endfor -%}
            {%- if view.is_possible -%}
                {%- do run_query(
                    'create or replace view ' ~ node.schema ~ '.' ~ node.alias ~ ' as ' ~ render(view.sql)
                ) -%}
                {%- do adapter.cache_added(api.Relation.create(
                    schema=node.schema, identifier=node.alias, type='view'
                )) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{% macro is_in_catalogue(node) -%}
    {{ return(adapter.get_relation(none, node.schema, node.alias) is not none) }}
{%- endmacro %}


{% macro schemas_of_project() -%}
    {#- The schemas that this project's sources are in, and its models, seeds and snapshots. -#}
    {%- set found = [] -%}
    {%- for node in graph.sources.values() | list + graph.nodes.values() | list
        if node.resource_type in ['source', 'model', 'seed', 'snapshot']
        and node.config.materialized != 'ephemeral' -%}
        {%- do found.append(node.schema) -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}
