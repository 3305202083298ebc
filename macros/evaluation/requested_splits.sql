{% macro requested_splits() -%}
    {#- CTE `requested_splits`: one row per tenant whose evaluation snapshot was asked for. -#}
requested_splits as (
    {%- for request in evaluation_requests() %}
    {{ 'union all ' if not loop.first }}select
        '{{ request.tenant_id }}' as tenant_id,
        '{{ request.method }}' as method,
        cast('{{ request.train_share }}' as decimal(9, 6)) as train_share,
        cast('{{ request.validation_share }}' as decimal(9, 6)) as validation_share,
        {{ request.minimum_user_positives }} as minimum_user_positives,
        {{ request.minimum_item_positives }} as minimum_item_positives,
        {{ "timestamp '" ~ request.train_until ~ "'" if request.train_until else 'cast(null as timestamp)' }} as asked_train_until,
        {{ "timestamp '" ~ request.validation_until ~ "'" if request.validation_until else 'cast(null as timestamp)' }} as asked_validation_until
    {%- else %}
    select
        cast(null as string) as tenant_id,
        cast(null as string) as method,
        cast(null as decimal(9, 6)) as train_share,
        cast(null as decimal(9, 6)) as validation_share,
        0 as minimum_user_positives,
        0 as minimum_item_positives,
        cast(null as timestamp) as asked_train_until,
        cast(null as timestamp) as asked_validation_until
    where false
    {%- endfor %}
)
{%- endmacro %}
