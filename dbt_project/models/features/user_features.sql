-- one row per user
{{ config(unique_key=['tenant_id', 'user_id'], stats_columns=['last_interaction']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'user_feature_history': ['user_hash']},
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
        user_hash,
        user_id,
        {{ feature_columns('user') }},
        as_of as last_interaction
    from ranked
    where newness = 1
)

select * from user_features
