-- one row per user and time of interactions that are conspicuous
{{ config(materialized='view') }}
{% set tied = clickstream_tenants(with_identity=true) or [] %}
with

history as (
    select * from {{ ref('user_feature_history') }}
),

interactions as (
    select * from {{ ref('enriched_interactions') }}
),

{{ paces('history', 'interactions', tied) }},

moments as (
    select
        paces.tenant_id,
        paces.user_hash,
        paces.user_id,
        paces.interaction_count,
        paces.agent_count,
        paces.interactions_1h,
        paces.interval_variation,
        {{ moment_flags() }} as flags,
        paces.as_of
    from paces
    left join {{ ref('stg_tenant_settings') }} as settings
        on paces.tenant_id = settings.tenant_id
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
