-- one row per catalogue version of an item
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['valid_from', 'valid_until']) }}
select * from {{ ref('item_history__this_run') }}
