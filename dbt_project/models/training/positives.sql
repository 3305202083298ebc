-- one row per user and item with an interaction of a positive type: the first one
{{ config(materialized='view') }}
with

positives as (
    select
        tenant_id,
        user_id,
        item_id,
        event_id,
        first_type as interaction_type,
        interaction_type as strongest_type,
        has_dislike,
        event_time
    from {{ ref('training_data') }}
    where label = 1
)

select * from positives
