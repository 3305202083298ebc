{% macro weighted_settings(scope) -%}
    {#- The settings of the tenants not all of whose negatives are drawn uniformly, to select from. -#}
    {{ return(rows_in_scope(
        'stg_tenant_settings', scope, has_weighted_shares(), of_tenants=true, is_repeated=true
    )) }}
{%- endmacro %}


{% macro has_weighted_shares() -%}
    {#- A condition on a tenant's settings: not all of its negatives are drawn uniformly. -#}
    {{ return('popularity_share + category_share > 0') }}
{%- endmacro %}
