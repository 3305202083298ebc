-- one row per event
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['event_time', 'known_at']) }}
select * from {{ ref('stg_interactions__this_run') }}
