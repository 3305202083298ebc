-- one row per user and time of interactions that are conspicuous
{{ config(materialized='view') }}
with

moments as (
    select
        paced.tenant_id,
        paced.user_hash,
        paced.user_id,
        paced.interaction_count,
        paced.agent_count,
        paced.interactions_1h,
        paced.interval_variation,
        {{ moment_flags() }} as flags,
        paced.as_of
    from {{ ref('user_feature_history') }} as paced
    left join {{ ref('stg_tenant_settings') }} as settings
        on paced.tenant_id = settings.tenant_id
),

traffic_flags as (
    select
        tenant_id,
        user_hash,
        user_id,
        interaction_count,
        agent_count,
        interactions_1h,
        interval_variation,
        flags,
        as_of
    from moments
    where size(flags) > 0
)

select * from traffic_flags
