-- one row per event, with what the catalogue said of its item then
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['event_time', 'known_at']) }}
select * from {{ ref('enriched_interactions__this_run') }}
