-- one row per user: features, and their age at the time of the query
with

user_features as (
    select * from {{ ref('user_features') }}
),

user_features_now as (
    select
        tenant_id,
        user_id,
        total_interactions,
        view_count,
        click_count,
        like_count,
        purchase_count,
        dislike_count,
        unique_items,
        unique_categories,
        avg_rating,
        interactions_1d,
        interactions_7d,
        interactions_30d,
        last_session_id,
        last_session_interactions,
        last_session_started_at,
        timestampdiff(hour, last_interaction, current_timestamp()) as age_hours,
        last_interaction
    from user_features
)

select * from user_features_now
