-- one row per tenant that has settings of its own
{{ config(unique_key=['tenant_id']) }}
{% set scope = change_scope(reads={'ops.tenant_settings': []}) %}
with

tenant_settings as (
    select * from {{ source('ops', 'tenant_settings') }}
    where {{ in_scope(scope) }}
),

ranked as (
    select
        *,
        row_number() over (partition by tenant_id order by version desc, known_at asc) as newness
    from tenant_settings
),

stg_tenant_settings as (
    select
        tenant_id,
        positive_types,
        negative_types,
        seed,
        negatives_per_positive,
        event_types,
        half_life_days,
        clickstream,
        examples,
        traffic,
        negatives,
        version
    from ranked
    where newness = 1
)

select * from stg_tenant_settings
