-- one row per raw row that repeats an event's id with another payload
{{ config(
    unique_key=['tenant_id', 'event_id', 'batch_id', 'source_ref'], stats_columns=['known_at']
) }}
{% set scope = change_scope(
    reads={'raw.interactions': ['event_id'], 'stg_clickstream': ['event_id']},
    keeps_expired='raw.interactions'
) %}
{% set clickstream = rows_in_scope(
    'stg_clickstream', scope, 'reason is null and not is_impression'
) if clickstream_tenants(scope) != [] else none %}
with

raw_interactions as (
    select * from {{ rows_in_scope('raw.interactions', scope) }}
),

{{ ranked_arrivals('raw_interactions', clickstream) }},

staging_conflicts as (
    select
        tenant_id,
        event_id,
        batch_id,
        source_ref,
        source,
        known_at
    from ranked_arrivals
    where is_conflict
)

select * from staging_conflicts
