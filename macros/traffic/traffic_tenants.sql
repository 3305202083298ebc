{% macro traffic_tenants(setting, scope=none) -%}
    {#-
    The tenants (of `scope`) whose settings of traffic have, or ever had, something (`any`) or `leave_out`; none where
    every tenant counts: in a model's fingerprint, which is of its logic alone, outside of a run and in unit
    tests. What nobody has is left out of the SQL. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_traffic_tenants', {}) -%}
    {%- if not known -%}
        {%- do known.update({'any': [], 'leave_out': []}) -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for row in run_query(
            "select tenant_id, max(traffic like '%\"leave_out\":%') as leaves_out from ("
            ~ "select tenant_id, get_json_object(to_json(struct(*)), '$.traffic') as traffic from "
            ~ source('ops', 'tenant_settings') ~ ") where traffic is not null group by tenant_id order by tenant_id"
        ).rows -%}
            {%- do known.any.append(checked_tenant_id(row['tenant_id'])) -%}
            {%- if row['leaves_out'] -%}{%- do known.leave_out.append(row['tenant_id']) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tenants_of_scope(known[setting], scope)) }}
{%- endmacro %}
