-- one row per item and hour with interactions
{{ config(unique_key=['tenant_id', 'item_id', 'event_hour'], stats_columns=['event_hour']) }}
select * from {{ ref('item_hours__this_run') }}
