-- one row per user and place among the user's newest interactions
{{ config(unique_key=['tenant_id', 'user_id', 'recency_rank'], stats_columns=['event_time']) }}
select * from {{ ref('recent_interactions__this_run') }}
