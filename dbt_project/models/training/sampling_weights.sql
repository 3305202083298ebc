-- one row per item, strategy and hour from which it counts for more in the draws
{{ config(
    unique_key=['tenant_id', 'item_id', 'strategy', 'counts_from'],
    stats_columns=['counts_from']
) }}
{% set tenants = tenants_using('shares') %}
{% set scope = change_scope(
    reads={
        'item_hours': ['item_id'],
        'item_availability': ['item_id'],
        'item_history': ['item_id'],
        'stg_tenant_settings': []
    },
    parameters=cutoff_parameter(),
    only_tenants={
        'item_hours': tenants,
        'item_availability': tenants,
        'item_history': tenants,
        'stg_tenant_settings': tenants
    }
) %}
with

tenant_settings as (
    select * from {{ ref('stg_tenant_settings') }}
    where {{ in_tenants(scope) }} and {{ has_other_shares() }}
),

item_availability as (
    select * from {{ ref('item_availability') }}
    where {{ in_scope(scope) }} and {{ is_of_tenants(tenants) }}
),

item_hours as (
    select * from {{ ref('item_hours') }}
    where {{ in_scope(scope) }} and {{ is_of_tenants(tenants) }}
),

item_history as (
    select * from {{ ref('item_history') }}
    where {{ in_scope(scope) }} and {{ is_of_tenants(tenants) }}
),

interaction_counts as (
    select
        tenant_id,
        item_id,
        event_hour + interval 1 hour as counts_from,
        sum(interaction_count) over (
            partition by tenant_id, item_id
            order by event_hour
        ) as interaction_count
    from item_hours
    union all
    select
        tenant_id,
        item_id,
        available_at as counts_from,
        0 as interaction_count
    from item_availability
),

popularities as (
    select
        counts.tenant_id,
        counts.item_id,
        greatest(counts.counts_from, item_availability.available_at) as counts_from,
        max({{ popularity_step('1 + counts.interaction_count') }}) as popularity
    from interaction_counts as counts
    inner join item_availability
        on
            counts.tenant_id = item_availability.tenant_id
            and counts.item_id = item_availability.item_id
    group by
        counts.tenant_id,
        counts.item_id,
        greatest(counts.counts_from, item_availability.available_at)
),

popularity_steps as (
    select
        *,
        lag(popularity) over (
            partition by tenant_id, item_id
            order by counts_from
        ) as earlier_popularity
    from popularities
),

-- of several versions in an hour the last one
categories as (
    select
        versions.tenant_id,
        versions.item_id,
        greatest(
            date_trunc('hour', versions.valid_from) + interval 1 hour,
            item_availability.available_at
        ) as counts_from,
        max_by(
            versions.category,
            struct(
                versions.valid_from,
                coalesce(versions.valid_until, timestamp '9999-12-31 00:00:00')
            )
        ) as category
    from item_history as versions
    inner join item_availability
        on
            versions.tenant_id = item_availability.tenant_id
            and versions.item_id = item_availability.item_id
    group by
        versions.tenant_id,
        versions.item_id,
        greatest(
            date_trunc('hour', versions.valid_from) + interval 1 hour,
            item_availability.available_at
        )
),

category_entries as (
    select
        *,
        row_number() over (
            partition by tenant_id, item_id, category
            order by counts_from
        ) as entry_number
    from categories
),

weights as (
    select
        tenant_id,
        item_id,
        'uniform' as strategy,
        cast(null as string) as category,
        cast(null as bigint) as popularity,
        1L as added_weight,
        available_at as counts_from
    from item_availability
    union all
    select
        steps.tenant_id,
        steps.item_id,
        'popularity' as strategy,
        cast(null as string) as category,
        steps.popularity,
        {{ popularity_weight('steps.popularity') }}
        - coalesce({{ popularity_weight('steps.earlier_popularity') }}, 0L) as added_weight,
        steps.counts_from
    from popularity_steps as steps
    inner join tenant_settings as settings
        on steps.tenant_id = settings.tenant_id
    where steps.popularity > coalesce(steps.earlier_popularity, 0)
    union all
    select
        tenant_id,
        item_id,
        'category' as strategy,
        category,
        cast(null as bigint) as popularity,
        if(entry_number = 1 and category is not null, 1L, 0L) as added_weight,
        counts_from
    from category_entries
),

sampling_weights as (
    select
        weights.tenant_id,
        weights.item_id,
        weights.strategy,
        weights.category,
        weights.popularity,
        weights.added_weight,
        weights.counts_from
    from weights
    inner join tenant_settings
        on weights.tenant_id = tenant_settings.tenant_id
)

select * from sampling_weights
