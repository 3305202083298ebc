-- one row per labelled example
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time']
) }}
select * from {{ ref('training_data__this_run') }}
