{% macro negative_tenants(scope=none) -%}
    {#-
    The tenants (of `scope`) whose settings say, or ever said, how their negatives are drawn, and whether any draws within
    categories: a mapping of `tenants` and `has_category`; none and true where every tenant counts: in a model's
    fingerprint, which is of its logic alone, and while dbt parses. What nobody asks for is left out of the SQL, and of
    that of unit tests. Asked once per run.
    -#}
    {%- if execute and model.resource_type == 'unit_test' -%}
        {{ return({'tenants': [], 'has_category': false}) }}
    {%- elif not execute or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return({'tenants': none, 'has_category': true}) }}
    {%- endif -%}
    {%- set known = graph.setdefault('eta_negative_tenants', {}) -%}
    {%- if not known -%}
        {%- do known.update({'tenants': [], 'with_category': []}) -%}
        {#- as JSON, which has no nulls: a table of an earlier release lacks the column -#}
        {%- for tenant_id, has_category in run_query(
            "select tenant_id, max(int(get_json_object(negatives, '$.category')) > 0) as has_category from ("
            ~ "select tenant_id, get_json_object(to_json(struct(*)), '$.negatives') as negatives from "
            ~ source('ops', 'tenant_settings') ~ ") where negatives is not null group by tenant_id order by tenant_id"
        ).rows -%}
            {%- do known.tenants.append(checked_tenant_id(tenant_id)) -%}
            {%- if has_category -%}{%- do known.with_category.append(tenant_id) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return({
        'tenants': tenants_of_scope(known.tenants, scope),
        'has_category': tenants_of_scope(known.with_category, scope) != [],
    }) }}
{%- endmacro %}


{% macro told_of_negatives(settings) -%}
    {#-
    CTE `told_negatives`: one row per tenant that says how its negatives are drawn; shares are ten-thousandths of the
    positives. `lakehouse.training.tenant_settings` writes the JSON.
    -#}
told_negatives as (
    select
        settings.tenant_id,
        {{ tenant_setting('seed') }} as seed,
        {{ tenant_setting('negatives_per_positive') }} as wanted_count,
        cast(get_json_object(settings.negatives, '$.popularity') as int) as popularity_share,
        cast(get_json_object(settings.negatives, '$.category') as int) as category_share,
        cast(get_json_object(settings.negatives, '$.exponent') as double) as exponent,
        cast(get_json_object(settings.negatives, '$.period_days') as int) as period_days
    from {{ settings }} as settings
    where settings.negatives is not null
)
{%- endmacro %}


{% macro uniform_pairs(pairs, settings, has_ways) -%}
    {#-
    CTE `uniform_pairs`: the pairs of the tenants that say nothing of how their negatives are drawn; with `has_ways` also
    `told_negatives`, without it these are all.
    -#}
{% if has_ways -%}
{{ told_of_negatives(settings) }},

{% endif -%}
uniform_pairs as (
    select pairs.*
    from {{ pairs }} as pairs
    {%- if has_ways %}
    left anti join told_negatives
        on pairs.tenant_id = told_negatives.tenant_id
    {%- endif %}
)
{%- endmacro %}


{% macro period_of(time, days='told_negatives.period_days') -%}
    {#- The first day (days since 1970) of the period that a time lies in. -#}
    unix_date(cast({{ time }} as date)) - pmod(unix_date(cast({{ time }} as date)), {{ days }})
{%- endmacro %}
