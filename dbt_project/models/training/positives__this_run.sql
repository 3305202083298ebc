-- one row per user and item with an interaction of a positive type
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'positives',
    reads=['stg_interactions', 'ops.tenant_settings'],
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
        first_positive.event_id as event_id,
        first_positive.interaction_type as interaction_type,
        strongest.interaction_type as strongest_type,
        first_negative is not null as has_dislike,
        first_positive.event_time as event_time
    from pair_labels
    where first_positive is not null
)

{{ with_tombstones('positives', scope, key=['tenant_id', 'user_id', 'item_id']) }}
