-- one row per item with interactions
{{ config(unique_key=['tenant_id', 'item_id']) }}
{% set scope = change_scope(
    reads={'item_feature_history': ['item_id']},
    parameters=cutoff_parameter()
) %}
with

item_feature_history as (
    select * from {{ ref('item_feature_history') }}
    where {{ in_scope(scope) }}
),

ranked as (
    select
        *,
        row_number() over (partition by tenant_id, item_id order by as_of desc) as newness
    from item_feature_history
),

item_features as (
    select
        tenant_id,
        item_id,
        popularity,
        view_count,
        click_count,
        like_count,
        purchase_count,
        dislike_count,
        unique_users,
        avg_rating,
        interactions_7d,
        interactions_30d,
        trend_7d_30d,
        conversion_rate,
        first_seen_at,
        as_of
    from ranked
    where newness = 1
)

select * from item_features
