-- one row per tenant and batch: where staging put the batch's raw rows
{{ config(unique_key=['tenant_id', 'batch_id'], stats_columns=['known_at']) }}
select * from {{ ref('staging_counts__this_run') }}
