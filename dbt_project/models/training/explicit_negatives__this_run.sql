-- one row per user and item that was disliked and never wished for
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'explicit_negatives',
    reads={'stg_interactions': ['user_id', 'item_id'], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
with

pair_labels as (
    select * from {{ ref('pair_labels') }}
    where {{ in_scope(scope) }}
),

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

{{ with_tombstones('explicit_negatives', scope, key=['tenant_id', 'user_id', 'item_id']) }}
