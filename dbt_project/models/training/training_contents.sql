-- one row per tenant: a fingerprint of its training set and what it was made with
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
select * from {{ ref('training_contents__this_run') }}
