-- one row per tenant: how many of its interactions join the catalogue, and how many are flagged
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(
    reads={
        'enriched_interactions': [],
        'user_feature_history': [],
        'stg_tenant_settings': [],
    },
    parameters=cutoff_parameter(),
    only_tenants={'stg_tenant_settings': traffic_tenants('any')}
) %}
-- depends_on: {{ ref('user_feature_history') }}
-- depends_on: {{ ref('stg_tenant_settings') }}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ in_scope(scope) }}
),

interaction_counts as (
    select
        tenant_id,
        count(*) as interaction_count,
        count_if(is_joined) as joined_count
    from interactions
    group by tenant_id
),

flagged_counts as (
    select
        tenant_id,
        sum(if(flags = array('agent'), agent_count, interaction_count)) as flagged_count,
        sum(if(array_contains(flags, 'rate'), interaction_count, 0)) as rate_count,
        sum(if(array_contains(flags, 'uniformity'), interaction_count, 0)) as uniformity_count,
        sum(if(array_contains(flags, 'agent'), agent_count, 0)) as agent_count
    from {{ ref('traffic_flags') }}
    where {{ in_scope(scope) }}
    group by tenant_id
),

join_rates as (
    select
        interaction_counts.tenant_id,
        interaction_counts.interaction_count,
        interaction_counts.joined_count,
        interaction_counts.joined_count / interaction_counts.interaction_count as join_rate,
        coalesce(flagged_counts.flagged_count, 0) as flagged_count,
        coalesce(flagged_counts.rate_count, 0) as rate_count,
        coalesce(flagged_counts.uniformity_count, 0) as uniformity_count,
        coalesce(flagged_counts.agent_count, 0) as agent_count
    from interaction_counts
    left join flagged_counts
        on interaction_counts.tenant_id = flagged_counts.tenant_id
)

select * from join_rates
