{% macro eligible_weights(known_pairs, item_weights, settings) -%}
    {#-
    CTE `eligible_weights`: one row per user and hour of a positive, of tenants that draw by popularity:
    `total_weight` of the items that were available in that hour, and `eligible_weight` of those that the user does
    not know. CTE `weight_totals`: one row per tenant and moment at which weights grow, or such an hour, with
    `total_weight`, that of the moment included, and how much of it was `added` then.

    A known item's weight in an hour is its largest by then, for weights never fall: one running maximum per
    item over changes and hours, and no comparison of rows with ranges.
    -#}
user_hours as (
    select distinct
        pairs.tenant_id,
        pairs.user_id,
        date_trunc('hour', pairs.positive_time) as event_hour
    from {{ known_pairs }} as pairs
    inner join {{ settings }} as settings
        on pairs.tenant_id = settings.tenant_id
    where pairs.positive_time is not null and settings.popularity_share > 0
),

weight_moments as (
    select
        tenant_id,
        counts_from as moment,
        sum(increment) as added
    from {{ item_weights }}
    group by tenant_id, counts_from
    union all
    select distinct
        tenant_id,
        event_hour as moment,
        0L as added
    from user_hours
),

added_weights as (
    select
        tenant_id,
        moment,
        sum(added) as added
    from weight_moments
    group by tenant_id, moment
),

weight_totals as (
    select
        *,
        sum(added) over (partition by tenant_id order by moment) as total_weight
    from added_weights
),

known_hours as (
    select
        tenant_id,
        item_id,
        counts_from as moment,
        weight,
        cast(null as string) as user_id
    from {{ item_weights }}
    union all
    select
        pairs.tenant_id,
        pairs.item_id,
        user_hours.event_hour as moment,
        cast(null as bigint) as weight,
        pairs.user_id
    from {{ known_pairs }} as pairs
    inner join user_hours
        on
            pairs.tenant_id = user_hours.tenant_id
            and pairs.user_id = user_hours.user_id
),

weights_then as (
    select
        *,
        max(weight) over (partition by tenant_id, item_id order by moment) as weight_then
    from known_hours
),

known_weights as (
    select
        tenant_id,
        user_id,
        moment as event_hour,
        coalesce(sum(weight_then), 0) as known_weight
    from weights_then
    where user_id is not null
    group by tenant_id, user_id, moment
),

eligible_weights as (
    select
        known_weights.tenant_id,
        known_weights.user_id,
        known_weights.event_hour,
        weight_totals.total_weight,
        weight_totals.total_weight - known_weights.known_weight as eligible_weight
    from known_weights
    inner join weight_totals
        on
            known_weights.tenant_id = weight_totals.tenant_id
            and known_weights.event_hour = weight_totals.moment
)
{%- endmacro %}
