-- one row per tenant: what staging made of the stored rows
with

interactions as (
    select
        interactions.tenant_id,
        interactions.event_id,
        coalesce(interactions.user_id, '') = '' as has_no_user,
        coalesce(interactions.item_id, '') = '' as has_no_item,
        not coalesce(
            array_contains(:interaction_types, interactions.interaction_type), false
        ) as has_unknown_type,
        not coalesce(
            interactions.event_time >= coalesce(settings.earliest, :earliest)
            and interactions.event_time < coalesce(settings.latest, :latest),
            false
        ) as is_out_of_range,
        array_contains(
            coalesce(settings.positive_types, :positive_types), interactions.interaction_type
        ) and interactions.known_at <= cast(:cutoff as timestamp) as is_wish,
        coalesce(settings.earliest, :earliest) as earliest,
        coalesce(settings.latest, :latest) as latest
    from staging.stg_interactions as interactions
    left join gate_tenants as settings
        on interactions.tenant_id = settings.tenant_id
    where :is_for_all or array_contains(:tenants, interactions.tenant_id)
),

-- Ids of several kinds are counted by grouping twice, with one shuffle for all of them: each
-- distinct count of its own would write every row once more.
rows as (
    select
        tenant_id,
        'event' as kind,
        event_id as key,
        1 as row_count,
        cast(has_no_user as int) as missing_user_id_count,
        cast(has_no_item as int) as missing_item_id_count,
        cast(has_unknown_type as int) as unknown_type_count,
        cast(is_out_of_range as int) as out_of_range_count,
        cast(is_wish as int) as wish_count,
        false as is_catalogued,
        earliest,
        latest
    from interactions
    union all
    select
        tenant_id,
        'item' as kind,
        item_id as key,
        1 as row_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        false as is_catalogued,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from staging.stg_interactions
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'item' as kind,
        item_id as key,
        0 as row_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        true as is_catalogued,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'catalogue' as kind,
        event_id as key,
        1 as row_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        false as is_catalogued,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'stored' as kind,
        '' as key,
        interaction_count as row_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        false as is_catalogued,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from gate_raw
),

keys as (
    select
        tenant_id,
        kind,
        key,
        sum(row_count) as row_count,
        sum(missing_user_id_count) as missing_user_id_count,
        sum(missing_item_id_count) as missing_item_id_count,
        sum(unknown_type_count) as unknown_type_count,
        sum(out_of_range_count) as out_of_range_count,
        sum(wish_count) as wish_count,
        max(is_catalogued) as is_catalogued,
        min(earliest) as earliest,
        min(latest) as latest
    from rows
    group by tenant_id, kind, key
),

totals as (
    select
        tenant_id,
        sum(if(kind = 'stored', row_count, 0)) as raw_interaction_count,
        sum(if(kind = 'event', row_count, 0)) as interaction_count,
        sum(if(kind = 'event', row_count - if(key is null, 0, 1), 0)) as duplicate_event_count,
        sum(missing_user_id_count) as missing_user_id_count,
        sum(missing_item_id_count) as missing_item_id_count,
        sum(unknown_type_count) as unknown_type_count,
        sum(out_of_range_count) as out_of_range_count,
        sum(wish_count) as wish_count,
        sum(if(kind = 'catalogue', row_count, 0)) as catalogue_row_count,
        sum(if(kind = 'catalogue', row_count - if(key is null, 0, 1), 0))
            as duplicate_catalogue_row_count,
        count_if(is_catalogued) as catalogue_item_count,
        sum(if(is_catalogued, row_count, 0)) as catalogued_count,
        date_format(min(earliest), 'yyyy-MM-dd') as earliest,
        date_format(min(latest), 'yyyy-MM-dd') as latest
    from keys
    group by tenant_id
)

select
    *,
    if(
        catalogue_item_count > 0 and interaction_count > 0,
        catalogued_count / interaction_count,
        null
    ) as catalogued_share
from totals
