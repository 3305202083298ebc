{% macro tenants_using(use, scope=none) -%}
    {#-
    The tenants (of `scope`) whose settings make use of something, or ever did, so that those who stop lose their rows:
      clickstream   events of their clickstream are interactions or impressions
      impressions   events are impressions
      shares        negatives that are not drawn uniformly
    None where every tenant counts: in a model's fingerprint, which is of its logic alone, outside of a run and in
    unit tests. Asked once per run.
    -#}
    {%- if not execute or model.resource_type == 'unit_test' or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_tenants_using', {}) -%}
    {%- if not known -%}
        {%- do known.update({'clickstream': [], 'impressions': [], 'shares': []}) -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for row in run_query(
            "select tenant_id, max(text like '%\"clickstream\":%') as clickstream, "
            ~ "max(text like '%\"clickstream\":%click_window_us%') as impressions, "
            ~ "max(text like '%\"popularity_share\":%') as shares from (select tenant_id, to_json(struct(*)) as text from "
            ~ source('ops', 'tenant_settings') ~ ") group by tenant_id order by tenant_id"
        ).rows -%}
            {%- for name, tenants in known.items() if row[name] -%}
                {%- do tenants.append(checked_tenant_id(row['tenant_id'])) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if scope and scope.tenant_id is not none -%}
        {{ return(known[use] | select('equalto', scope.tenant_id) | list) }}
    {%- elif scope and scope.mode in ['changed', 'rewrite', 'nothing'] -%}
        {{ return(known[use] | select('in', scope.tenants) | list) }}
    {%- endif -%}
    {{ return(known[use]) }}
{%- endmacro %}


{% macro is_of_tenants(tenants) -%}
    {#- A condition: the row is of one of these tenants, true where they are none; see `tenants_using`. -#}
    {%- if tenants is none -%}{{ return('true') }}{%- endif -%}
    {{ return("tenant_id in ('" ~ tenants | join("', '") ~ "')" if tenants else 'false') }}
{%- endmacro %}
