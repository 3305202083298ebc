-- one row per item with interactions
{{ config(unique_key=['tenant_id', 'item_id']) }}
select * from {{ ref('item_features__this_run') }}
