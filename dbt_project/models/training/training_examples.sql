-- one row per labelled example, with what was known of its user and item before it
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time'],
    change_feed=false
) }}
select * from {{ ref('training_examples__this_run') }}
