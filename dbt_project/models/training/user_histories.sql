-- one row per user and time of a labelled interaction: what the user had touched before
{{ config(unique_key=['tenant_id', 'user_id', 'event_time'], stats_columns=['event_time']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'training_data': ['user_hash'], 'stg_interactions': ['user_hash']},
    parameters={'limit': var('recent_interaction_limit'), 'cutoff': var('cutoff') | string}
) %}
{% set has_identity = clickstream_tenants(scope, with_identity=true) != [] %}
with

interactions as (
    select * from {{ rows_in_scope(
        'stg_interactions', scope, known_by_cutoff(), is_repeated=has_identity
    ) }}
),

labelled_times as (
    select distinct
        tenant_id,
        user_id,
        event_time
    from {{ rows_in_scope('training_data', scope) }}
    where draw_index = 0
),

{{ histories_before('interactions', 'labelled_times', has_identity) }}

select * from user_histories
