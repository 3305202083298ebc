-- one row per tenant and batch: where staging put the batch's raw rows
{{ config(
    unique_key=['tenant_id', 'batch_id'],
    stats_columns=['known_at'],
    added_columns={
        'event_count': 'bigint',
        'unmapped_count': 'bigint',
        'impression_count': 'bigint',
        'left_out': 'array<struct<event_name: string, reason: string, row_count: bigint>>',
    }
) }}
{% set tenants = clickstream_tenants() %}
{% set scope = change_scope(
    reads={
        'raw.interactions': [],
        'raw.clickstream': [],
        'stg_clickstream': [],
        'stg_interactions': [],
        'staging_conflicts': [],
        'stg_tenant_settings': [],
    },
    keeps_expired='raw.interactions',
    only_tenants={'raw.clickstream': tenants, 'stg_tenant_settings': tenants}
) %}
-- depends_on: {{ ref('stg_tenant_settings') }}
with

interaction_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as raw_count,
        min(known_at) as known_at
    from {{ source('raw', 'interactions') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id
),

{{ counted_events(scope, tenants) }},

raw_counts as (
    select
        coalesce(interaction_counts.tenant_id, counted_events.tenant_id) as tenant_id,
        coalesce(interaction_counts.batch_id, counted_events.batch_id) as batch_id,
        coalesce(interaction_counts.raw_count, 0)
        + coalesce(counted_events.interaction_count, 0) as raw_count,
        counted_events.event_count,
        counted_events.unmapped_count,
        counted_events.impression_count,
        counted_events.left_out,
        coalesce(interaction_counts.known_at, counted_events.known_at) as known_at
    from interaction_counts
    full outer join counted_events
        on
            interaction_counts.tenant_id = counted_events.tenant_id
            and interaction_counts.batch_id = counted_events.batch_id
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
        raw_counts.event_count,
        raw_counts.unmapped_count,
        raw_counts.impression_count,
        raw_counts.left_out,
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
