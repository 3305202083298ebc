{% macro example_tenants(setting, scope=none) -%}
    {#-
    The tenants (of `scope`) whose settings of examples have, or ever had, `item` or `user` attributes or a
    `time_zone`; none where every tenant counts: in a model's fingerprint, which is of its logic alone, outside
    of a run and in unit tests. What nobody has is left out of the SQL. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_example_tenants', {}) -%}
    {%- if not known -%}
        {%- do known.update({'item': [], 'user': [], 'time_zone': []}) -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for row in run_query(
            "select tenant_id, max(examples like '%\"item\":%') as item, max(examples like '%\"user\":%') as user, "
            ~ "max(examples like '%\"time_zone\":%') as time_zone from ("
            ~ "select tenant_id, get_json_object(to_json(struct(*)), '$.examples') as examples from "
            ~ source('ops', 'tenant_settings') ~ ") where examples is not null group by tenant_id order by tenant_id"
        ).rows -%}
            {%- for name, tenants in known.items() if row[name] -%}
                {%- do tenants.append(checked_tenant_id(row['tenant_id'])) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tenants_of_scope(known[setting], scope)) }}
{%- endmacro %}


{% macro tenants_of_scope(tenants, scope=none) -%}
    {#- Those of the tenants that the scope is about. -#}
    {%- if scope and scope.tenant_id is not none -%}
        {{ return(tenants | select('equalto', scope.tenant_id) | list) }}
    {%- elif scope and scope.mode in ['changed', 'rewrite', 'nothing'] -%}
        {{ return(tenants | select('in', scope.tenants) | list) }}
    {%- endif -%}
    {{ return(tenants) }}
{%- endmacro %}


{% macro told_of_examples(examples) -%}
    {#- What a tenant's settings say of examples; `lakehouse.training.tenant_settings` writes the JSON. -#}
    from_json(
        {{ examples }},
        'struct<time_zone: string, item: array<struct<name: string, paths: array<string>>>,
        user: array<struct<name: string, paths: array<string>>>>'
    )
{%- endmacro %}
