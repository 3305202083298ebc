-- one row per user and time of an interaction of theirs
{{ config(unique_key=['tenant_id', 'user_id', 'as_of'], stats_columns=['as_of']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'enriched_interactions': {'user_hash': 'user_hash', 'since': 'event_time'}},
    time='as_of',
    parameters=cutoff_parameter()
) %}
{% set has_identity = clickstream_tenants(scope, with_identity=true) != [] %}
{% set acted_at = 'acted_at' if has_identity else 'event_time' %}
{% set order = 'acted_at, event_id' if has_identity else 'event_id' %}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ in_scope(scope) }}
),

{{ known_interactions('interactions', has_identity) }},

marked as (
    select
        *,
        category is not null and row_number() over (
            partition by tenant_id, user_id, category
            order by event_time, event_id
        ) = 1 as is_first_of_category,
        if(
            session_id is null,
            null,
            struct(
                session_id,
                count(*) over sessions as interaction_count,
                min({{ acted_at }}) over sessions as started_at
            )
        ) as session_so_far
    from known_interactions
    window sessions as (
        partition by tenant_id, user_id, session_id
        order by event_time
        range between unbounded preceding and current row
    )
),

counted as (
    select
        *,
        count(*) over so_far as total_interactions,
        {{ type_counts('so_far') }},
        count_if(is_first_of_pair) over so_far as unique_items,
        count_if(is_first_of_category) over so_far as unique_categories,
        cast(avg(rating) over so_far as double) as avg_rating,
        count(*) over day as interactions_1d,
        count(*) over week as interactions_7d,
        count(*) over month as interactions_30d,
        last_value(session_so_far, true) over in_order as last_session,
        count(*) over at_once as interaction_count,
        count_if(is_agent) over at_once as agent_count,
        lead(event_time) over next_one as next_event_time
    from marked
    window
        so_far as (
            partition by tenant_id, user_id order by event_time
            range between unbounded preceding and current row
        ),
        day as (
            partition by tenant_id, user_id order by event_time
            range between interval 1 day preceding and current row
        ),
        week as (
            partition by tenant_id, user_id order by event_time
            range between interval 7 days preceding and current row
        ),
        month as (
            partition by tenant_id, user_id order by event_time
            range between interval 30 days preceding and current row
        ),
        in_order as (
            partition by tenant_id, user_id order by event_time, {{ order }}
            rows between unbounded preceding and current row
        ),
        at_once as (
            partition by tenant_id, user_id order by event_time
            range between current row and current row
        ),
        next_one as (partition by tenant_id, user_id order by event_time, {{ order }})
),

named as (
    select
        *,
        last_session.session_id as last_session_id,
        last_session.interaction_count as last_session_interactions,
        last_session.started_at as last_session_started_at
    from counted
    -- of several interactions at one time the last has counted them all
    where not event_time <=> next_event_time
),

{{ paced_moments('named') }},

user_feature_history as (
    select
        tenant_id,
        user_hash,
        user_id,
        {{ feature_columns('user') }},
        interaction_count,
        agent_count,
        interactions_1h,
        interval_variation,
        event_time as as_of
    from paced_moments
)

select * from user_feature_history
