-- one row per raw row that repeats an event's id with another payload
{{ config(
    unique_key=['tenant_id', 'event_id', 'batch_id', 'source_ref'], stats_columns=['known_at']
) }}
select * from {{ ref('staging_conflicts__this_run') }}
