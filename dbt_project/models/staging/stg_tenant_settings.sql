-- one row per tenant that has settings of its own: the newest version
{{ config(materialized='view') }}
with

tenant_settings as (
    select * from {{ source('ops', 'tenant_settings') }}
),

ranked as (
    select
        *,
        row_number() over (partition by tenant_id order by version desc) as newness
    from tenant_settings
),

stg_tenant_settings as (
    select
        tenant_id,
        positive_types,
        negative_types,
        seed,
        negatives_per_positive,
        version
    from ranked
    where newness = 1
)

select * from stg_tenant_settings
