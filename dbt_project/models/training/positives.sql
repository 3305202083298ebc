-- one row per user and item with an interaction of a positive type: the first one
{{ config(unique_key=['tenant_id', 'user_id', 'item_id'], stats_columns=['event_time']) }}
select * from {{ ref('positives__this_run') }}
