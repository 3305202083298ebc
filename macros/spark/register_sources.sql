{% macro register_sources() -%}
    {#-
    Makes the lake known to a server: its schemas at their places, and the tables that the
    ingestion service writes. The local session's catalogue is filled before dbt gets it.
    -#}
    {%- if execute and target.name != 'dev' -%}
        {%- set home = env_var('ETA_HOME', env_var('PWD', '.') ~ '/.eta') -%}
        {%- set lake = env_var('ETA_LAKE_URI', home ~ '/lake') -%}
        {%- set tables = graph.sources.values() | list -%}
        {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') -%}
        {%- for schema in (tables + models | list) | map(attribute='schema') | unique | sort -%}
            {%- do run_query(
                'create schema if not exists ' ~ schema ~ " location '" ~ lake ~ '/' ~ schema ~ "'"
            ) -%}
        {%- endfor -%}
        {%- for table in tables -%}
            {%- do run_query(
                'create table if not exists ' ~ table.schema ~ '.' ~ table.identifier
                ~ " using delta location '" ~ lake ~ '/' ~ table.schema ~ '/' ~ table.identifier ~ "'"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
