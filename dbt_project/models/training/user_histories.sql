-- one row per user and time of a labelled interaction: what the user had touched before
{{ config(unique_key=['tenant_id', 'user_id', 'event_time'], stats_columns=['event_time']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'training_data': ['user_hash'], 'stg_interactions': ['user_hash']},
    parameters={'limit': var('recent_interaction_limit'), 'cutoff': var('cutoff') | string}
) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

labelled_times as (
    select distinct
        tenant_id,
        user_id,
        event_time
    from {{ rows_in_scope('training_data', scope) }}
    where draw_index = 0
),

-- The first interaction of a time has exactly the earlier ones before it.
preceded as (
    select
        tenant_id,
        user_hash,
        user_id,
        event_time,
        collect_list(struct(item_id, interaction_type, event_time)) over (
            partition by tenant_id, user_id
            order by event_time, event_id
            rows between {{ var('recent_interaction_limit') | int }} preceding and 1 preceding
        ) as earlier,
        lag(event_time) over (
            partition by tenant_id, user_id
            order by event_time, event_id
        ) as previous_time
    from interactions
),

user_histories as (
    select
        preceded.tenant_id,
        preceded.user_hash,
        preceded.user_id,
        transform(preceded.earlier, one -> one.item_id) as item_ids,
        transform(preceded.earlier, one -> one.interaction_type) as interaction_types,
        transform(preceded.earlier, one -> one.event_time) as event_times,
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
