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

catalogue as (
    select
        tenant_id,
        event_id,
        item_id
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
),

-- Ids are counted by grouping twice: two distinct counts would write every row twice.
keys as (
    select
        tenant_id,
        'event' as kind,
        event_id as key,
        count(*) as row_count,
        count_if(has_no_user) as missing_user_id_count,
        count_if(has_no_item) as missing_item_id_count,
        count_if(has_unknown_type) as unknown_type_count,
        count_if(is_out_of_range) as out_of_range_count,
        count_if(is_wish) as wish_count,
        min(earliest) as earliest,
        min(latest) as latest
    from interactions
    group by tenant_id, event_id
    union all
    select
        tenant_id,
        'catalogue' as kind,
        event_id as key,
        count(*) as row_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from catalogue
    group by tenant_id, event_id
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
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from gate_raw
),

-- How many interactions an item has, and whether the catalogue has it.
items as (
    select
        tenant_id,
        item_id,
        sum(interaction_count) as interaction_count,
        max(is_catalogued) as is_catalogued
    from (
        select
            tenant_id,
            item_id,
            1 as interaction_count,
            false as is_catalogued
        from staging.stg_interactions
        where :is_for_all or array_contains(:tenants, tenant_id)
        union all
        select
            tenant_id,
            item_id,
            0 as interaction_count,
            true as is_catalogued
        from catalogue
    )
    group by tenant_id, item_id
),

parts as (
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
        0 as catalogue_item_count,
        0 as catalogued_count,
        min(earliest) as earliest,
        min(latest) as latest
    from keys
    group by tenant_id
    union all
    select
        tenant_id,
        0 as raw_interaction_count,
        0 as interaction_count,
        0 as duplicate_event_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        0 as wish_count,
        0 as catalogue_row_count,
        0 as duplicate_catalogue_row_count,
        count_if(is_catalogued) as catalogue_item_count,
        sum(if(is_catalogued, interaction_count, 0)) as catalogued_count,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from items
    group by tenant_id
),

totals as (
    select
        tenant_id,
        sum(raw_interaction_count) as raw_interaction_count,
        sum(interaction_count) as interaction_count,
        sum(duplicate_event_count) as duplicate_event_count,
        sum(missing_user_id_count) as missing_user_id_count,
        sum(missing_item_id_count) as missing_item_id_count,
        sum(unknown_type_count) as unknown_type_count,
        sum(out_of_range_count) as out_of_range_count,
        sum(wish_count) as wish_count,
        sum(catalogue_row_count) as catalogue_row_count,
        sum(duplicate_catalogue_row_count) as duplicate_catalogue_row_count,
        sum(catalogue_item_count) as catalogue_item_count,
        sum(catalogued_count) as catalogued_count,
        date_format(min(earliest), 'yyyy-MM-dd') as earliest,
        date_format(min(latest), 'yyyy-MM-dd') as latest
    from parts
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
