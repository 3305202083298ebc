-- one row per user
{{ config(unique_key=['tenant_id', 'user_id'], stats_columns=['last_interaction']) }}
{% set scope = change_scope(
    reads={'user_feature_history': ['user_id']},
    parameters=cutoff_parameter()
) %}
with

user_feature_history as (
    select * from {{ ref('user_feature_history') }}
    where {{ in_scope(scope) }}
),

ranked as (
    select
        *,
        row_number() over (partition by tenant_id, user_id order by as_of desc) as newness
    from user_feature_history
),

user_features as (
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
        as_of as last_interaction
    from ranked
    where newness = 1
)

select * from user_features
