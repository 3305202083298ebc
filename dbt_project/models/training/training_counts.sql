-- one row per tenant: what its training set holds, and what could not be drawn
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
select * from {{ ref('training_counts__this_run') }}
