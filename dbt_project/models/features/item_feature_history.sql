-- one row per item and hour with interactions, as of the hour's end
{{ config(unique_key=['tenant_id', 'item_id', 'as_of'], stats_columns=['as_of']) }}
select * from {{ ref('item_feature_history__this_run') }}
