-- one row per user and item with an interaction of a positive type
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'positives',
    reads={'stg_interactions': ['user_id', 'item_id'], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
with

pair_labels as (
    select * from {{ ref('pair_labels') }}
    where {{ in_scope(scope) }}
),

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

{{ with_tombstones('positives', scope, key=['tenant_id', 'user_id', 'item_id']) }}
