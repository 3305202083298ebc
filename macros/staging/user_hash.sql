{% macro user_hash() -%}
    {#-
    The number by which a run finds the rows of a user: far cheaper to compare than an id. Two users may
    share one, so it selects rows to recompute and identifies nobody.
    -#}
    hash(tenant_id, user_id)
{%- endmacro %}
