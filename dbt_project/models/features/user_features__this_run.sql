-- one row per user of the tenants with new interactions
{{ config(materialized='ephemeral') }}
{% set scope = change_scope('user_features', reads=['stg_interactions']) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }}
),

user_features as (
    select
        tenant_id,
        user_id,
        count(*) as total_interactions,
        count(distinct item_id) as unique_items,
        cast(avg(rating) as double) as avg_rating,
        max(event_time) as last_interaction
    from interactions
    group by tenant_id, user_id
)

{{ with_tombstones('user_features', scope, key=['tenant_id', 'user_id']) }}
