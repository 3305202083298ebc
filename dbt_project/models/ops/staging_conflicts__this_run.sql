-- one row per raw row that repeats an event's id with another payload
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'staging_conflicts', reads={'raw.interactions': ['event_id']}
) %}
with

ranked as (
    select * from {{ ref('interactions__ranked') }}
    where {{ in_scope(scope) }}
),

staging_conflicts as (
    select
        tenant_id,
        event_id,
        batch_id,
        source_ref,
        source,
        known_at
    from ranked
    where is_conflict
)

{{ with_tombstones(
    'staging_conflicts', scope, key=['tenant_id', 'event_id', 'batch_id', 'source_ref'],
    kept=has_expired('raw.interactions')
) }}
