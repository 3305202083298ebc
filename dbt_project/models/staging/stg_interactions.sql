-- one row per event
{{ config(
    unique_key=['tenant_id', 'event_id'],
    stats_columns=['event_time', 'known_at'],
    added_columns={
        'user_hash': {'type': 'int', 'value': user_hash()},
        'attributed_at': 'timestamp'
    }
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

stg_interactions as (
    select
        tenant_id,
        event_id,
        {{ user_hash() }} as user_hash,
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
        attributed_at,
        event_time,
        known_at
    from ranked_arrivals
    where arrival_rank = 1
)

select * from stg_interactions
