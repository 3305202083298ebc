-- one row per item, strategy and hour from which it counts for more in the draws
{{ config(
    unique_key=['tenant_id', 'item_id', 'strategy', 'counts_from'],
    stats_columns=['counts_from']
) }}
{% set tenants = sampling_tenants() %}
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
{% set is_read = in_scope(scope) ~ ' and ' ~ of_clickstream_tenants(tenants) %}
with

{{ sampling_settings(rows_in_scope('stg_tenant_settings', scope, of_tenants=true)) }},

events as (
    select
        tenant_id,
        item_id,
        event_hour + interval 1 hour as known_from,
        interaction_count,
        null as item_version,
        cast(null as timestamp) as available_at
    from {{ ref('item_hours') }}
    where {{ is_read }}
    union all
    select
        tenant_id,
        item_id,
        date_trunc('hour', valid_from) + interval 1 hour as known_from,
        0 as interaction_count,
        struct(
            valid_from,
            coalesce(valid_until, timestamp '9999-12-31 00:00:00') as valid_until,
            category
        ) as item_version,
        cast(null as timestamp) as available_at
    from {{ ref('item_history') }}
    where {{ is_read }}
    union all
    select
        tenant_id,
        item_id,
        available_at as known_from,
        0 as interaction_count,
        null as item_version,
        available_at
    from {{ ref('item_availability') }}
    where {{ is_read }}
),

-- of several versions in an hour the last one
hours as (
    select
        tenant_id,
        item_id,
        known_from,
        sum(interaction_count) as interaction_count,
        max(item_version) as item_version,
        max(available_at) as available_at
    from events
    group by tenant_id, item_id, known_from
),

totals as (
    select
        tenant_id,
        item_id,
        known_from,
        available_at is not null as is_first,
        known_from >= max(available_at) over (partition by tenant_id, item_id) as is_available,
        sum(interaction_count) over so_far as interaction_count,
        max(item_version) over so_far as item_version
    from hours
    window so_far as (partition by tenant_id, item_id order by known_from)
),

states as (
    select
        *,
        {{ popularity_step('1 + interaction_count') }} as popularity,
        item_version.category
    from totals
),

compared as (
    select
        *,
        lag(popularity) over when_available as earlier_popularity,
        lag(category) over so_far as earlier_category,
        is_available and category is not null and row_number() over (
            partition by tenant_id, item_id, is_available, category
            order by known_from
        ) = 1 as is_new_category
    from states
    window
        so_far as (partition by tenant_id, item_id order by known_from),
        when_available as (
            partition by tenant_id, item_id, is_available order by known_from
        )
),

slots as (
    select
        compared.tenant_id,
        compared.item_id,
        compared.known_from,
        explode(array(
            named_struct(
                'strategy', 'uniform',
                'category', cast(null as string),
                'popularity', cast(null as bigint),
                'added_weight', 1L,
                'is_change', compared.is_first
            ),
            named_struct(
                'strategy', 'popularity',
                'category', cast(null as string),
                'popularity', compared.popularity,
                'added_weight', {{ popularity_weight('compared.popularity') }}
                - coalesce({{ popularity_weight('compared.earlier_popularity') }}, 0L),
                'is_change', compared.is_available
                and compared.popularity > coalesce(compared.earlier_popularity, 0)
            ),
            named_struct(
                'strategy', 'category',
                'category', compared.category,
                'popularity', cast(null as bigint),
                'added_weight', if(compared.is_new_category, 1L, 0L),
                'is_change', compared.is_new_category
                or not compared.category <=> compared.earlier_category
            )
        )) as slot
    from compared
    inner join sampling_settings as settings
        on compared.tenant_id = settings.tenant_id
),

sampling_weights as (
    select
        tenant_id,
        item_id,
        slot.strategy,
        slot.category,
        slot.popularity,
        slot.added_weight,
        known_from as counts_from
    from slots
    where slot.is_change
)

select * from sampling_weights
