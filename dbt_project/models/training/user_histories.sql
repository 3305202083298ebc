-- one row per user and time of a labelled interaction: what the user had touched before
{{ config(unique_key=['tenant_id', 'user_id', 'event_time'], stats_columns=['event_time']) }}
select * from {{ ref('user_histories__this_run') }}
