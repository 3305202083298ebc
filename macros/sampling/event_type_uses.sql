{% macro event_type_uses(scope=none) -%}
    {#-
    What the tenants (of `scope`) make use of in their settings. Where none uses a thing it is left out of
    the SQL, and costs nothing. Returns a mapping of booleans:
      own      types of their own
      values   types whose weight a rating scales
      undoes   types that undo another one
      shares   negatives that are not drawn uniformly
      category negatives that are drawn by category
    In a model's fingerprint, which is of its logic alone, all are true; in unit tests those of event types are.
    -#}
    {%- set uses = {'own': true, 'values': true, 'undoes': true, 'shares': true, 'category': true} -%}
    {%- if model.resource_type == 'unit_test' -%}
        {{ return(merged(uses, {'shares': false, 'category': false})) }}
    {%- elif not execute or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return(uses) }}
    {%- elif scope and scope.mode == 'nothing' -%}
        {{ return({'own': false, 'values': false, 'undoes': false, 'shares': false, 'category': false}) }}
    {%- endif -%}
    {%- set relation = load_relation(ref('stg_tenant_settings')) -%}
    {%- if relation is none -%}{{ return(uses) }}{%- endif -%}
    {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
    {%- set found = run_query(
        "select count_if(text like '%\"event_types\":%'), count_if(text like '%\"value_scale\":%'), "
        ~ "count_if(text like '%\"undoes\":%'), "
        ~ "count_if(text like '%\"negatives\":%'), "
        ~ "count_if(text like '%\"negatives\":%category%') from (select to_json(struct(*)) as text from " ~ relation
        ~ " where " ~ (in_tenants(scope) if scope else 'true') ~ ")"
    ).rows[0] -%}
    {{ return({
        'own': found[0] > 0, 'values': found[1] > 0, 'undoes': found[2] > 0,
        'shares': found[3] > 0, 'category': found[4] > 0,
    }) }}
{%- endmacro %}
