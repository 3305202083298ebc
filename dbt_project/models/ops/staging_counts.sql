-- one row per tenant and batch: where staging put the batch's raw rows
{{ config(unique_key=['tenant_id', 'batch_id'], stats_columns=['known_at']) }}
{% set scope = change_scope(
    reads={'raw.interactions': [], 'stg_interactions': [], 'staging_conflicts': []},
    keeps_expired='raw.interactions'
) %}
with

raw_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as raw_count,
        min(known_at) as known_at
    from {{ source('raw', 'interactions') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id
),

staged_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as staged_count
    from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id
),

conflict_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as conflict_count
    from {{ ref('staging_conflicts') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id
),

staging_counts as (
    select
        raw_counts.tenant_id,
        raw_counts.batch_id,
        raw_counts.raw_count,
        coalesce(staged_counts.staged_count, 0) as staged_count,
        raw_counts.raw_count
        - coalesce(staged_counts.staged_count, 0)
        - coalesce(conflict_counts.conflict_count, 0) as duplicate_count,
        coalesce(conflict_counts.conflict_count, 0) as conflict_count,
        raw_counts.known_at
    from raw_counts
    left join staged_counts
        on
            raw_counts.tenant_id = staged_counts.tenant_id
            and raw_counts.batch_id = staged_counts.batch_id
    left join conflict_counts
        on
            raw_counts.tenant_id = conflict_counts.tenant_id
            and raw_counts.batch_id = conflict_counts.batch_id
)

select * from staging_counts
