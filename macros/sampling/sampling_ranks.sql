{% macro sampling_ranks(positives, known_items, item_availability) -%}
    {#-
    CTEs `ranked_items`, `available_counts` and `known_ranks`, which the draws are made from.
    `positives` has an `event_hour`; `known_items` one row per user and item.
    -#}
-- Items in the order they became available: those available in an hour are a prefix.
ranked_items as (
    select
        tenant_id,
        item_id,
        available_at,
        row_number() over (partition by tenant_id order by available_at, item_id) - 1 as item_rank
    from {{ item_availability }}
),

hours as (
    select
        tenant_id,
        available_at as event_hour,
        count(*) as new_item_count
    from ranked_items
    group by tenant_id, available_at
    union all
    select distinct
        tenant_id,
        event_hour,
        0 as new_item_count
    from {{ positives }}
),

hour_totals as (
    select
        tenant_id,
        event_hour,
        sum(new_item_count) as new_item_count
    from hours
    group by tenant_id, event_hour
),

available_counts as (
    select
        tenant_id,
        event_hour,
        sum(new_item_count) over (partition by tenant_id order by event_hour) as available_count
    from hour_totals
),

-- A user's known items as ranks e_0 < e_1 < …, and their gap positions g_j = e_j - j.
known_ranks as (
    select
        known_items.tenant_id,
        known_items.user_id,
        ranked_items.item_rank,
        ranked_items.item_rank - row_number() over (
            partition by known_items.tenant_id, known_items.user_id
            order by ranked_items.item_rank
        ) + 1 as gap_position
    from {{ known_items }} as known_items
    inner join ranked_items
        on
            known_items.tenant_id = ranked_items.tenant_id
            and known_items.item_id = ranked_items.item_id
)
{%- endmacro %}
