-- one row per tenant: what its training set holds, and what could not be drawn
{{ config(unique_key=['tenant_id']) }}
select * from {{ ref('training_counts__this_run') }}
