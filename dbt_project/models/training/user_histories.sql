-- one row per user and time of a labelled interaction: what the user had touched before
{{ config(unique_key=['tenant_id', 'user_id', 'event_time'], stats_columns=['event_time']) }}
{% set scope = change_scope(
    reads={
        'enriched_interactions': ['user_id'],
        'positives': ['user_id'],
        'explicit_negatives': ['user_id']
    },
    parameters={'limit': var('recent_interaction_limit'), 'cutoff': var('cutoff') | string}
) %}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ in_scope(scope) }}
),

labelled_times as (
    select
        tenant_id,
        user_id,
        event_time
    from {{ ref('positives') }}
    where {{ in_scope(scope) }}
    union distinct
    select
        tenant_id,
        user_id,
        event_time
    from {{ ref('explicit_negatives') }}
    where {{ in_scope(scope) }}
),

-- The first interaction of a time has exactly the earlier ones before it.
preceded as (
    select
        tenant_id,
        user_id,
        event_time,
        collect_list(item_id) over (
            partition by tenant_id, user_id
            order by event_time, event_id
            rows between {{ var('recent_interaction_limit') | int }} preceding and 1 preceding
        ) as item_ids,
        lag(event_time) over (
            partition by tenant_id, user_id
            order by event_time, event_id
        ) as previous_time
    from interactions
),

user_histories as (
    select
        preceded.tenant_id,
        preceded.user_id,
        preceded.item_ids,
        preceded.event_time
    from preceded
    left semi join labelled_times
        on
            preceded.tenant_id = labelled_times.tenant_id
            and preceded.user_id = labelled_times.user_id
            and preceded.event_time = labelled_times.event_time
    where not preceded.event_time <=> preceded.previous_time
)

select * from user_histories
