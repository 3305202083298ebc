{% macro register_sources() -%}
    {#- The local catalogue is registered before the session is handed over; on a server whose
        lake is somewhere else, the sources are made known here. -#}
    {%- set lake = env_var('ETA_LAKE_URI', '') -%}
    {%- if lake and target.name != 'dev' -%}
        {%- for node in graph.sources.values() -%}
            {%- do run_query('create schema if not exists ' ~ node.schema) -%}
            {%- do run_query(
                'create table if not exists ' ~ node.schema ~ '.' ~ node.identifier
                ~ " using delta location '" ~ lake ~ '/' ~ node.schema ~ '/' ~ node.identifier ~ "'"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
