-- one row per tenant with changed interactions or catalogue rows
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'join_rates', reads={'enriched_interactions': []}, parameters=cutoff_parameter()
) %}
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

{{ with_tombstones('join_rates', scope, key=['tenant_id']) }}
