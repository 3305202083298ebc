-- one row per user and item with an interaction of a positive type: the first one
{{ config(unique_key=['tenant_id', 'user_id', 'item_id'], stats_columns=['event_time']) }}
{% set scope = change_scope(
    reads={'stg_interactions': ['user_id', 'item_id'], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

{{ pair_labels('interactions') }},

positives as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_event_id as event_id,
        positive_type as interaction_type,
        strongest_type,
        negative_event_id is not null as has_dislike,
        positive_time as event_time
    from pair_labels
    where positive_event_id is not null
)

select * from positives
