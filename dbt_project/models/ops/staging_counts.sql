-- one row per tenant and batch: where staging put the batch's raw rows
{{ config(
    unique_key=['tenant_id', 'batch_id'],
    stats_columns=['known_at'],
    added_columns={
        'event_count': 'bigint',
        'unmapped_count': 'bigint',
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
{% set has_clickstream = clickstream_tenants(scope) != [] %}
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

{% if has_clickstream %}
event_counts as (
    select
        tenant_id,
        batch_id,
        count(*) as event_count,
        min(known_at) as known_at
    from {{ source('raw', 'clickstream') }}
    where {{ in_scope(scope) }} and {{ of_clickstream_tenants(tenants) }}
    group by tenant_id, batch_id
),

item_counts as (
    select
        tenant_id,
        batch_id,
        event_name,
        reason,
        count(*) as row_count,
        count_if(item_index = 0) as event_count
    from {{ ref('stg_clickstream') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id, event_name, reason
),

mapped_counts as (
    select
        tenant_id,
        batch_id,
        sum(if(reason is null, row_count, 0)) as interaction_count,
        sum(event_count) as event_count,
        array_sort(
            collect_list(struct(event_name, reason, row_count)) filter (where reason is not null)
        ) as left_out
    from item_counts
    group by tenant_id, batch_id
),

raw_counts as (
    select
        coalesce(interaction_counts.tenant_id, event_counts.tenant_id) as tenant_id,
        coalesce(interaction_counts.batch_id, event_counts.batch_id) as batch_id,
        coalesce(interaction_counts.raw_count, 0)
        + coalesce(mapped_counts.interaction_count, 0) as raw_count,
        event_counts.event_count,
        event_counts.event_count - coalesce(mapped_counts.event_count, 0) as unmapped_count,
        mapped_counts.left_out,
        coalesce(interaction_counts.known_at, event_counts.known_at) as known_at
    from interaction_counts
    full outer join event_counts
        on
            interaction_counts.tenant_id = event_counts.tenant_id
            and interaction_counts.batch_id = event_counts.batch_id
    left join mapped_counts
        on
            event_counts.tenant_id = mapped_counts.tenant_id
            and event_counts.batch_id = mapped_counts.batch_id
),

{% else %}
raw_counts as (
    select
        tenant_id,
        batch_id,
        raw_count,
        cast(null as bigint) as event_count,
        cast(null as bigint) as unmapped_count,
        cast(
            null as array<struct<event_name: string, reason: string, row_count: bigint>>
        ) as left_out,
        known_at
    from interaction_counts
),

{% endif %}
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
