-- one row per item with interactions, of the tenants with new interactions
{{ config(materialized='ephemeral') }}
{% set scope = change_scope('item_features', reads=['stg_interactions']) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }}
),

item_features as (
    select
        tenant_id,
        item_id,
        count(*) as popularity,
        count(distinct user_id) as unique_users,
        cast(avg(rating) as double) as avg_rating
    from interactions
    group by tenant_id, item_id
)

{{ with_tombstones('item_features', scope, key=['tenant_id', 'item_id']) }}
