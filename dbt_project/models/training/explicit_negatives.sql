-- one row per user and item that was disliked and never wished for
{{ config(unique_key=['tenant_id', 'user_id', 'item_id'], stats_columns=['event_time']) }}
select * from {{ ref('explicit_negatives__this_run') }}
