-- one row per tenant: how many of its interactions are of an item that the catalogue has
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(reads={'enriched_interactions': []}, parameters=cutoff_parameter()) %}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ in_scope(scope) }}
),

join_rates as (
    select
        tenant_id,
        count(*) as interaction_count,
        count_if(is_joined) as joined_count,
        count_if(is_joined) / count(*) as join_rate
    from interactions
    group by tenant_id
)

select * from join_rates
