{% macro has_expired(source_table) -%}
    {#-
    A condition on rows of a table (as `held`): their rows of `source_table` (`schema.table`) are gone
    by age. What the models took in of them stays, so that no feature falls; a full refresh begins
    with what the source still has. Asked once per run.
    -#}
    {%- if not execute -%}{{ return('false') }}{%- endif -%}
    {%- set known = graph.setdefault('eta_expired', {}) -%}
    {%- if source_table not in known -%}
        {%- set found = run_query(
            'select tenant_id, max(expired_before) as expired_before from ops.removals '
            ~ "where reason = 'expired' and table_name = '" ~ source_table ~ "' group by tenant_id order by tenant_id"
        ) -%}
        {%- set conditions = [] -%}
        {%- for tenant_id, before in found.rows -%}
            {%- do conditions.append(
                "(held.tenant_id = '" ~ checked_tenant_id(tenant_id)
                ~ "' and held.known_at < timestamp '" ~ before ~ "')"
            ) -%}
        {%- endfor -%}
        {%- do known.update({source_table: conditions | join(' or ') or 'false'}) -%}
    {%- endif -%}
    {{ return('(' ~ known[source_table] ~ ')') }}
{%- endmacro %}
