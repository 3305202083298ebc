-- one row per event with changed raw rows: the first one that became known
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'stg_interactions', reads={'raw.interactions': ['event_id']}
) %}
with

ranked as (
    select * from {{ ref('interactions__ranked') }}
    where {{ in_scope(scope) }}
),

stg_interactions as (
    select
        tenant_id,
        event_id,
        user_id,
        item_id,
        interaction_type,
        device_type,
        location,
        session_id,
        source,
        batch_id,
        source_ref,
        rating,
        event_time,
        known_at
    from ranked
    where arrival_rank = 1
)

{{ with_tombstones(
    'stg_interactions', scope, key=['tenant_id', 'event_id'], kept=has_expired('raw.interactions')
) }}
