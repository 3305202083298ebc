-- one row per user and time of an interaction of theirs
{{ config(unique_key=['tenant_id', 'user_id', 'as_of'], stats_columns=['as_of']) }}
select * from {{ ref('user_feature_history__this_run') }}
