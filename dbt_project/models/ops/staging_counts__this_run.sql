-- one row per tenant and batch with new raw rows
{{ config(materialized='ephemeral') }}
{% set scope = change_scope('staging_counts', reads=['raw.interactions']) %}
with

ranked as (
    select * from {{ ref('interactions__ranked') }}
    where {{ in_scope(scope) }}
),

staging_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as raw_count,
        count_if(arrival_rank = 1) as staged_count,
        count_if(arrival_rank > 1 and not is_conflict) as duplicate_count,
        count_if(is_conflict) as conflict_count,
        min(known_at) as known_at
    from ranked
    group by tenant_id, batch_id
)

{{ with_tombstones('staging_counts', scope, key=['tenant_id', 'batch_id']) }}
