-- one row per item: features, and their age at the time of the query
with

item_features as (
    select * from {{ ref('item_features') }}
),

item_features_now as (
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
        timestampdiff(hour, as_of, current_timestamp()) as age_hours,
        as_of
    from item_features
)

select * from item_features_now
