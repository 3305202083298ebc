-- one row per item: the hour from which it could be recommended
{{ config(unique_key=['tenant_id', 'item_id'], stats_columns=['available_at']) }}
select * from {{ ref('item_availability__this_run') }}
