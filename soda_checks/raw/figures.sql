-- one row per tenant: what the service stored
with

interactions as (
    select
        interactions.tenant_id,
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
        coalesce(settings.earliest, :earliest) as earliest,
        coalesce(settings.latest, :latest) as latest
    from raw.interactions as interactions
    left join gate_tenants as settings
        on interactions.tenant_id = settings.tenant_id
    where :is_for_all or array_contains(:tenants, interactions.tenant_id)
),

rows as (
    select
        tenant_id,
        1 as interaction_count,
        cast(has_no_user as int) as missing_user_id_count,
        cast(has_no_item as int) as missing_item_id_count,
        cast(has_unknown_type as int) as unknown_type_count,
        cast(is_out_of_range as int) as out_of_range_count,
        0 as catalogue_row_count,
        0 as missing_catalogue_item_id_count,
        earliest,
        latest
    from interactions
    union all
    select
        tenant_id,
        0 as interaction_count,
        0 as missing_user_id_count,
        0 as missing_item_id_count,
        0 as unknown_type_count,
        0 as out_of_range_count,
        1 as catalogue_row_count,
        cast(coalesce(item_id, '') = '' as int) as missing_catalogue_item_id_count,
        cast(null as timestamp) as earliest,
        cast(null as timestamp) as latest
    from raw.items
    where :is_for_all or array_contains(:tenants, tenant_id)
)

select
    tenant_id,
    sum(interaction_count) as interaction_count,
    sum(missing_user_id_count) as missing_user_id_count,
    sum(missing_item_id_count) as missing_item_id_count,
    sum(unknown_type_count) as unknown_type_count,
    sum(out_of_range_count) as out_of_range_count,
    sum(catalogue_row_count) as catalogue_row_count,
    sum(missing_catalogue_item_id_count) as missing_catalogue_item_id_count,
    date_format(min(earliest), 'yyyy-MM-dd') as earliest,
    date_format(min(latest), 'yyyy-MM-dd') as latest
from rows
group by tenant_id
