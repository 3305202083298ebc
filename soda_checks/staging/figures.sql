-- one row per tenant: what staging made of the stored rows
with

interactions as (
    select
        interactions.tenant_id,
        interactions.event_id,
        interactions.item_id,
        interactions.event_time,
        interactions.known_at,
        coalesce(interactions.user_id, '') = '' as has_no_user,
        coalesce(interactions.item_id, '') = '' as has_no_item,
        not coalesce(
            array_contains(
                coalesce(settings.known_types, :interaction_types), interactions.interaction_type
            ),
            false
        ) as has_unknown_type,
        not coalesce(
            interactions.event_time >= coalesce(settings.earliest, :earliest)
            and interactions.event_time < coalesce(settings.latest, :latest),
            false
        ) as is_out_of_range,
        coalesce(
            interactions.rating < coalesce(settings.least_rating, :least_rating)
            or interactions.rating > coalesce(settings.most_rating, :most_rating),
            false
        ) as is_off_scale,
        coalesce(
            unix_seconds(interactions.event_time) - unix_seconds(interactions.known_at)
            > 3600 * coalesce(settings.future_after_hours, :future_after_hours),
            false
        ) as is_from_future,
        interactions.known_at <= cast(:cutoff as timestamp) as is_read,
        array_contains(
            coalesce(settings.positive_types, :positive_types), interactions.interaction_type
        ) as is_of_positive_type,
        coalesce(settings.earliest, :earliest) as earliest,
        coalesce(settings.latest, :latest) as latest,
        coalesce(settings.least_rating, :least_rating) as least_rating,
        coalesce(settings.most_rating, :most_rating) as most_rating,
        coalesce(settings.future_after_hours, :future_after_hours) as future_after_hours
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
        false as is_catalogued,
        struct(interactions.*) as event
    from interactions
    union all
    select
        tenant_id,
        'item' as kind,
        item_id as key,
        1 as row_count,
        false as is_catalogued,
        null as event
    from staging.stg_interactions
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'item' as kind,
        item_id as key,
        0 as row_count,
        true as is_catalogued,
        null as event
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'catalogue' as kind,
        event_id as key,
        1 as row_count,
        false as is_catalogued,
        null as event
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        'stored' as kind,
        '' as key,
        interaction_count as row_count,
        false as is_catalogued,
        null as event
    from gate_raw
    union all
    select
        tenant_id,
        'expired' as kind,
        '' as key,
        expired_count as row_count,
        false as is_catalogued,
        null as event
    from gate_raw
    union all
    select
        tenant_id,
        'clickstream' as kind,
        '' as key,
        1 as row_count,
        false as is_catalogued,
        null as event
    from staging.stg_clickstream
    where
        reason is null
        and not is_impression
        and (:is_for_all or array_contains(:tenants, tenant_id))
),

keys as (
    select
        tenant_id,
        kind,
        key,
        sum(row_count) as row_count,
        max(is_catalogued) as is_catalogued,
        count_if(event.has_no_user) as missing_user_id_count,
        count_if(event.has_no_item) as missing_item_id_count,
        count_if(event.has_unknown_type) as unknown_type_count,
        count_if(event.is_out_of_range) as out_of_range_count,
        count_if(event.is_off_scale) as off_scale_count,
        count_if(event.is_from_future) as future_count,
        count_if(event.is_read) as read_count,
        count_if(event.is_read and event.is_of_positive_type) as wish_count,
        min(event.event_time) as oldest_event_at,
        max(if(event.is_read, event.event_time, null)) as newest_read_event_at,
        max(if(event.is_from_future, null, event.event_time)) as newest_event_at,
        max(if(event.is_read, event.known_at, null)) as newest_read_known_at,
        min(event.earliest) as earliest,
        min(event.latest) as latest,
        min(event.least_rating) as least_rating,
        min(event.most_rating) as most_rating,
        min(event.future_after_hours) as future_after_hours
    from rows
    group by tenant_id, kind, key
),

totals as (
    select
        tenant_id,
        sum(if(kind = 'stored', row_count, 0)) as raw_interaction_count,
        sum(if(kind = 'expired', row_count, 0)) as expired_count,
        sum(if(kind = 'clickstream', row_count, 0)) as clickstream_count,
        sum(if(kind = 'event', row_count, 0)) as interaction_count,
        sum(if(kind = 'event', row_count - if(key is null, 0, 1), 0)) as duplicate_event_count,
        sum(missing_user_id_count) as missing_user_id_count,
        sum(missing_item_id_count) as missing_item_id_count,
        sum(unknown_type_count) as unknown_type_count,
        sum(out_of_range_count) as out_of_range_count,
        sum(off_scale_count) as off_scale_count,
        sum(future_count) as future_count,
        sum(read_count) as read_count,
        sum(wish_count) as wish_count,
        sum(if(kind = 'catalogue', row_count, 0)) as catalogue_row_count,
        sum(if(kind = 'catalogue', row_count - if(key is null, 0, 1), 0))
            as duplicate_catalogue_row_count,
        count_if(is_catalogued) as catalogue_item_count,
        sum(if(is_catalogued, row_count, 0)) as catalogued_count,
        unix_micros(min(oldest_event_at)) as oldest_event_us,
        unix_micros(max(newest_event_at)) as newest_event_us,
        unix_micros(max(newest_read_event_at)) as newest_read_event_us,
        unix_micros(max(newest_read_known_at)) as newest_read_known_us,
        date_format(min(earliest), 'yyyy-MM-dd HH:mm:ss') as earliest,
        date_format(min(latest), 'yyyy-MM-dd HH:mm:ss') as latest,
        min(least_rating) as least_rating,
        min(most_rating) as most_rating,
        min(future_after_hours) as future_after_hours
    from keys
    group by tenant_id
)

select
    *,
    raw_interaction_count + expired_count + clickstream_count as most_interaction_count,
    off_scale_count / nullif(interaction_count, 0) as off_scale_share,
    future_count / nullif(interaction_count, 0) as future_share,
    if(
        catalogue_item_count > 0 and interaction_count > 0,
        catalogued_count / interaction_count,
        null
    ) as catalogued_share
from totals
