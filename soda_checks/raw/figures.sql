-- one row per tenant: what the service stored
with

interactions as (
    select
        interactions.tenant_id,
        coalesce(interactions.event_id, '') = '' as has_no_id,
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
        coalesce(settings.earliest, :earliest) as earliest,
        coalesce(settings.latest, :latest) as latest,
        interactions.known_at
    from raw.interactions as interactions
    left join gate_tenants as settings
        on interactions.tenant_id = settings.tenant_id
    where :is_for_all or array_contains(:tenants, interactions.tenant_id)
),

interaction_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count_if(has_no_id) as missing_event_id_count,
        count_if(has_no_user) as missing_user_id_count,
        count_if(has_no_item) as missing_item_id_count,
        count_if(has_unknown_type) as unknown_type_count,
        count_if(is_out_of_range) as out_of_range_count,
        (unix_micros(:now) - unix_micros(max(known_at))) / 3.6e9 as age_hours,
        date_format(min(earliest), 'yyyy-MM-dd HH:mm:ss') as earliest,
        date_format(min(latest), 'yyyy-MM-dd HH:mm:ss') as latest
    from interactions
    group by tenant_id
),

catalogue_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count_if(coalesce(item_id, '') = '') as missing_item_id_count,
        count_if(price < 0) as negative_price_count
    from raw.items
    where :is_for_all or array_contains(:tenants, tenant_id)
    group by tenant_id
),

user_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count_if(coalesce(user_id, '') = '') as missing_user_id_count,
        count_if(coalesce(event_id, '') = '') as missing_event_id_count
    from raw.users
    where :is_for_all or array_contains(:tenants, tenant_id)
    group by tenant_id
),

-- when the newest event of a clickstream arrived that the models read
clickstream_totals as (
    select
        tenant_id,
        (unix_micros(:now) - unix_micros(clickstream_known_at)) / 3.6e9 as age_hours
    from gate_tenants
    where
        clickstream_known_at is not null
        and (:is_for_all or array_contains(:tenants, tenant_id))
),

-- rows that age took from raw and that staging keeps
expired_totals as (
    select
        tenant_id,
        sum(row_count) as row_count
    from ops.removals
    where
        table_name = 'raw.interactions'
        and reason = 'expired'
        and (:is_for_all or array_contains(:tenants, tenant_id))
    group by tenant_id
),

-- A tenant's totals side by side: joining them would cost a shuffle each.
totals as (
    select
        tenant_id,
        struct(*) as interactions,
        null as catalogue,
        null as users,
        null as clickstream,
        null as expired
    from interaction_totals
    union all
    select
        tenant_id,
        null as interactions,
        struct(*) as catalogue,
        null as users,
        null as clickstream,
        null as expired
    from catalogue_totals
    union all
    select
        tenant_id,
        null as interactions,
        null as catalogue,
        struct(*) as users,
        null as clickstream,
        null as expired
    from user_totals
    union all
    select
        tenant_id,
        null as interactions,
        null as catalogue,
        null as users,
        struct(*) as clickstream,
        null as expired
    from clickstream_totals
    union all
    select
        tenant_id,
        null as interactions,
        null as catalogue,
        null as users,
        null as clickstream,
        struct(*) as expired
    from expired_totals
),

tenants as (
    select
        tenant_id,
        first(interactions, true) as interactions,
        first(catalogue, true) as catalogue,
        first(users, true) as users,
        first(clickstream, true) as clickstream,
        first(expired, true) as expired
    from totals
    group by tenant_id
)

select
    tenant_id,
    coalesce(interactions.row_count, 0) as interaction_count,
    coalesce(interactions.missing_event_id_count, 0) as missing_event_id_count,
    coalesce(interactions.missing_user_id_count, 0) as missing_user_id_count,
    coalesce(interactions.missing_item_id_count, 0) as missing_item_id_count,
    coalesce(interactions.unknown_type_count, 0) as unknown_type_count,
    coalesce(interactions.out_of_range_count, 0) as out_of_range_count,
    coalesce(expired.row_count, 0) as expired_count,
    coalesce(catalogue.row_count, 0) as catalogue_row_count,
    coalesce(catalogue.missing_item_id_count, 0) as missing_catalogue_item_id_count,
    coalesce(catalogue.negative_price_count, 0) as negative_price_count,
    coalesce(users.row_count, 0) as user_state_count,
    coalesce(users.missing_user_id_count, 0) as missing_state_user_id_count,
    coalesce(users.missing_event_id_count, 0) as missing_state_event_id_count,
    -- the age of what came last; null where neither was sent
    least(interactions.age_hours, clickstream.age_hours) as age_hours,
    interactions.earliest,
    interactions.latest
from tenants
