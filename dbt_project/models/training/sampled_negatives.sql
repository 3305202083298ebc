-- one row per positive and draw: an item the user could have met then and does not know
{{ config(materialized='view') }}
with

sampled_negatives as (
    select
        tenant_id,
        user_id,
        item_id,
        anchor_item_id as positive_item_id,
        draw_index,
        negative_strategy,
        eligible_count,
        sampling_probability,
        logq,
        drawn_popularity,
        event_time
    from {{ ref('training_data') }}
    where negative_type = 'sampled'
)

select * from sampled_negatives
