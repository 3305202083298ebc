-- one row per tenant: how its features add up, and its newest period beside those before it
with

user_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count(*) - count(distinct user_id) as duplicate_count,
        count_if(coalesce(user_id, '') = '' or last_interaction is null) as missing_count,
        count_if(
            not coalesce(
                view_count + click_count + like_count + purchase_count + dislike_count
                <= total_interactions
                and interactions_1d between 1 and interactions_7d
                and interactions_7d <= interactions_30d
                and interactions_30d <= total_interactions
                and unique_items between 1 and total_interactions,
                false
            )
        ) as inconsistent_count,
        count_if(
            view_count + click_count + like_count + purchase_count + dislike_count
            < total_interactions
        ) as own_type_count,
        sum(total_interactions) as interaction_count,
        max(total_interactions) as most_count,
        unix_micros(max(last_interaction)) as newest_us
    from features.user_features
    where :is_for_all or array_contains(:tenants, tenant_id)
    group by tenant_id
),

catalogue as (
    select
        tenant_id,
        item_id,
        min(available_from) as available_from,
        count(price) > 0 as has_price
    from staging.stg_items
    where :is_for_all or array_contains(:tenants, tenant_id)
    group by tenant_id, item_id
),

items as (
    select
        features.*,
        coalesce(catalogue.has_price, false) as has_price,
        coalesce(features.first_seen_at < catalogue.available_from, false) as is_early
    from features.item_features as features
    left join catalogue
        on features.tenant_id = catalogue.tenant_id and features.item_id = catalogue.item_id
    where :is_for_all or array_contains(:tenants, features.tenant_id)
),

item_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count(*) - count(distinct item_id) as duplicate_count,
        count_if(coalesce(item_id, '') = '' or as_of is null) as missing_count,
        count_if(
            not coalesce(
                view_count + click_count + like_count + purchase_count + dislike_count
                <= popularity
                and unique_users between 1 and popularity
                and interactions_7d <= interactions_30d
                and interactions_30d <= popularity,
                false
            )
        ) as inconsistent_count,
        count_if(
            view_count + click_count + like_count + purchase_count + dislike_count < popularity
        ) as own_type_count,
        sum(popularity) as interaction_count,
        max(popularity) as most_count,
        count_if(is_early) as early_count,
        sum(purchase_count) as purchase_count,
        sum(if(has_price, 0, purchase_count)) as unpriced_purchase_count,
        max(has_price) as has_prices
    from items
    group by tenant_id
),

batch_totals as (
    select
        tenant_id,
        sum(raw_count) as row_count,
        sum(conflict_count) as conflict_count
    from ops.staging_counts
    where :is_for_all or array_contains(:tenants, tenant_id)
    group by tenant_id
),

-- period 0 is the newest one; it ends with the newest event that is not from the future
windows as (
    select
        staging.tenant_id,
        staging.newest_event_us,
        staging.oldest_event_us,
        86400000000 * coalesce(settings.period_days, :period_days) as period_us,
        coalesce(settings.history_periods, :history_periods) as history_periods,
        coalesce(settings.minimum_events, :minimum_events) as minimum_events
    from gate_staging as staging
    left join gate_tenants as settings
        on staging.tenant_id = settings.tenant_id
),

hours as (
    select /*+ broadcast(windows) */
        hours.*,
        windows.minimum_events,
        (windows.newest_event_us - unix_micros(hours.event_hour)) div windows.period_us as period
    from features.item_hours as hours
    inner join windows
        on
            hours.tenant_id = windows.tenant_id
            and unix_micros(hours.event_hour) <= windows.newest_event_us
            and unix_micros(hours.event_hour)
            > windows.newest_event_us - windows.period_us * (windows.history_periods + 1)
            -- the period in which the history begins is not complete, and not compared
            and (windows.newest_event_us - unix_micros(hours.event_hour)) div windows.period_us
            < greatest((windows.newest_event_us - windows.oldest_event_us) div windows.period_us, 1)
    where :is_for_all or array_contains(:tenants, hours.tenant_id)
),

period_items as (
    select
        tenant_id,
        period,
        item_id,
        sum(interaction_count) as interaction_count,
        sum(view_count) as view_count,
        sum(click_count) as click_count,
        sum(like_count) as like_count,
        sum(purchase_count) as purchase_count,
        sum(dislike_count) as dislike_count,
        min(minimum_events) as minimum_events
    from hours
    group by tenant_id, period, item_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by tenant_id, period order by interaction_count desc, item_id
        ) as place
    from period_items
),

periods as (
    select
        tenant_id,
        period,
        sum(interaction_count) as interaction_count,
        sum(view_count) as view_count,
        sum(click_count) as click_count,
        sum(like_count) as like_count,
        sum(purchase_count) as purchase_count,
        sum(dislike_count) as dislike_count,
        sum(interaction_count)
        - sum(view_count + click_count + like_count + purchase_count + dislike_count)
            as own_type_count,
        sum(if(place <= 10, interaction_count, 0)) / sum(interaction_count) as top_share,
        min(minimum_events) as minimum_events
    from ranked
    group by tenant_id, period
),

period_totals as (
    select
        tenant_id,
        count_if(period > 0) as history_count,
        min(minimum_events) as minimum_events,
        sum(if(period = 0, interaction_count, 0)) as newest_count,
        avg(if(period > 0, interaction_count, null)) as usual_count,
        sum(if(period = 0, top_share, null)) as newest_top_share,
        avg(if(period > 0, top_share, null)) as usual_top_share,
        array(
            sum(if(period = 0, view_count, 0)),
            sum(if(period = 0, click_count, 0)),
            sum(if(period = 0, like_count, 0)),
            sum(if(period = 0, purchase_count, 0)),
            sum(if(period = 0, dislike_count, 0)),
            sum(if(period = 0, own_type_count, 0))
        ) as newest_types,
        array(
            avg(if(period > 0, view_count, null)),
            avg(if(period > 0, click_count, null)),
            avg(if(period > 0, like_count, null)),
            avg(if(period > 0, purchase_count, null)),
            avg(if(period > 0, dislike_count, null)),
            avg(if(period > 0, own_type_count, null))
        ) as usual_types
    from periods
    group by tenant_id
),

-- A tenant's totals side by side: joining them would cost a shuffle each.
totals as (
    select
        tenant_id,
        struct(*) as users,
        null as items,
        null as batches,
        null as periods,
        null as staging
    from user_totals
    union all
    select
        tenant_id,
        null as users,
        struct(*) as items,
        null as batches,
        null as periods,
        null as staging
    from item_totals
    union all
    select
        tenant_id,
        null as users,
        null as items,
        struct(*) as batches,
        null as periods,
        null as staging
    from batch_totals
    union all
    select
        tenant_id,
        null as users,
        null as items,
        null as batches,
        struct(
            newest_count,
            usual_count,
            newest_top_share,
            usual_top_share,
            newest_types,
            usual_types,
            history_count >= 2 and usual_count >= minimum_events as is_comparable,
            newest_count >= minimum_events as is_enough
        ) as periods,
        null as staging
    from period_totals
    union all
    select
        tenant_id,
        null as users,
        null as items,
        null as batches,
        null as periods,
        struct(read_count, newest_read_event_us) as staging
    from gate_staging
),

tenants as (
    select
        tenant_id,
        first(users, true) as users,
        first(items, true) as items,
        first(batches, true) as batches,
        first(periods, true) as periods,
        first(staging, true) as staging
    from totals
    group by tenant_id
)

select
    tenants.tenant_id,
    coalesce(users.row_count, 0) as user_count,
    coalesce(items.row_count, 0) as item_count,
    coalesce(users.interaction_count, 0) as user_interaction_count,
    coalesce(items.interaction_count, 0) as item_interaction_count,
    coalesce(staging.read_count, 0) as staged_interaction_count,
    coalesce(users.missing_count, 0) as missing_user_key_count,
    coalesce(items.missing_count, 0) as missing_item_key_count,
    coalesce(users.duplicate_count, 0) as duplicate_user_count,
    coalesce(items.duplicate_count, 0) as duplicate_item_count,
    -- an interaction of none of the five types is one of a type that the tenant has declared
    coalesce(users.inconsistent_count, 0)
    + if(settings.known_types is null, coalesce(users.own_type_count, 0), 0)
        as inconsistent_user_count,
    coalesce(items.inconsistent_count, 0)
    + if(settings.known_types is null, coalesce(items.own_type_count, 0), 0)
        as inconsistent_item_count,
    (staging.newest_read_event_us - users.newest_us) / 3.6e9 as behind_hours,
    coalesce(users.most_count, 0) as top_user_count,
    if(
        users.row_count >= coalesce(settings.minimum_users, :minimum_users)
        and users.interaction_count >= coalesce(settings.minimum_events, :minimum_events),
        users.most_count / users.interaction_count,
        null
    ) as top_user_share,
    coalesce(items.most_count, 0) as top_item_count,
    if(
        items.row_count >= coalesce(settings.minimum_items, :minimum_items)
        and items.interaction_count >= coalesce(settings.minimum_events, :minimum_events),
        items.most_count / items.interaction_count,
        null
    ) as top_item_share,
    coalesce(items.early_count, 0) as early_item_count,
    items.early_count / nullif(items.row_count, 0) as early_item_share,
    coalesce(items.purchase_count, 0) as purchase_count,
    coalesce(items.unpriced_purchase_count, 0) as unpriced_purchase_count,
    if(
        items.has_prices,
        items.unpriced_purchase_count / nullif(items.purchase_count, 0),
        null
    ) as unpriced_purchase_share,
    coalesce(batches.row_count, 0) as raw_row_count,
    coalesce(batches.conflict_count, 0) as conflict_count,
    batches.conflict_count / nullif(batches.row_count, 0) as conflict_share,
    coalesce(periods.newest_count, 0) as newest_period_count,
    periods.usual_count as usual_period_count,
    if(periods.is_comparable, periods.newest_count / periods.usual_count, null) as volume_ratio,
    periods.newest_top_share,
    periods.usual_top_share,
    if(
        periods.is_comparable and periods.is_enough,
        abs(periods.newest_top_share - periods.usual_top_share),
        null
    ) as popularity_drift,
    if(
        periods.is_comparable and periods.is_enough,
        aggregate(
            zip_with(
                periods.newest_types,
                periods.usual_types,
                (newest, usual) ->
                abs(newest / periods.newest_count - usual / periods.usual_count)
            ),
            0d,
            (sum, part) -> sum + part
        ) / 2,
        null
    ) as type_drift
from tenants
left join gate_tenants as settings
    on tenants.tenant_id = settings.tenant_id
