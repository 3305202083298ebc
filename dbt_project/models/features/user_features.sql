-- one row per user
{{ config(unique_key=['tenant_id', 'user_id'], stats_columns=['last_interaction']) }}
select * from {{ ref('user_features__this_run') }}
