-- one row per user and place among the user's newest interactions
{{ config(unique_key=['tenant_id', 'user_id', 'recency_rank'], stats_columns=['event_time']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'stg_interactions': ['user_hash']},
    parameters={'limit': var('recent_interaction_limit'), 'cutoff': var('cutoff') | string}
) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by tenant_id, user_id
            order by event_time desc, event_id desc
        ) as recency_rank
    from interactions
),

recent_interactions as (
    select
        tenant_id,
        user_hash,
        user_id,
        recency_rank,
        event_id,
        item_id,
        interaction_type,
        rating,
        event_time
    from ranked
    where recency_rank <= {{ var('recent_interaction_limit') | int }}
)

select * from recent_interactions
