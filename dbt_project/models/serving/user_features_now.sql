-- one row per user: features, and their age at the time of the query
with

user_features as (
    select * from {{ ref('user_features') }}
),

user_features_now as (
    select
        tenant_id,
        user_id,
        {{ feature_columns('user') }},
        timestampdiff(hour, last_interaction, current_timestamp()) as age_hours,
        last_interaction
    from user_features
)

select * from user_features_now
