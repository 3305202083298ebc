-- one row per positive and draw: an item the user could have met then and does not know
{{ config(
    unique_key=['tenant_id', 'user_id', 'positive_item_id', 'draw_index'],
    stats_columns=['event_time']
) }}
select * from {{ ref('sampled_negatives__this_run') }}
