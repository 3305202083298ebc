{% macro spark__get_where_subquery(relation) -%}
    {#- What a generic test reads: in a run narrowed to one tenant, that tenant's rows. -#}
    {%- set conditions = [of_this_runs_tenant(), config.get('where') or 'true'] | reject('equalto', 'true') | list -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as narrowed') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
