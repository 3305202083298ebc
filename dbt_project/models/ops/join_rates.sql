-- one row per tenant: how many of its interactions are of an item that the catalogue has
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
select * from {{ ref('join_rates__this_run') }}
