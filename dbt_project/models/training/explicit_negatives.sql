-- one row per user and item that was disliked and never wished for
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

explicit_negatives as (
    select
        tenant_id,
        user_id,
        item_id,
        negative_event_id as event_id,
        negative_type as interaction_type,
        negative_time as event_time
    from pair_labels
    where positive_event_id is null
)

select * from explicit_negatives
