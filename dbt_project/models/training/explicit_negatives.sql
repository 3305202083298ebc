-- one row per user and item that was disliked and never wished for
{{ config(materialized='view') }}
with

explicit_negatives as (
    select
        tenant_id,
        user_id,
        item_id,
        event_id,
        interaction_type,
        event_time
    from {{ ref('training_data') }}
    where negative_type = 'explicit'
)

select * from explicit_negatives
