-- one row per positive and draw, of the tenants with new rows
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'sampled_negatives',
    reads=['positives', 'item_availability'],
    parameters=training_parameters()
) %}
with

positives as (
    select
        *,
        date_trunc('hour', event_time) as event_hour
    from {{ ref('positives') }}
    where {{ in_scope(scope) }}
),

known_items as (
    select distinct
        tenant_id,
        user_id,
        item_id
    from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

item_availability as (
    select * from {{ ref('item_availability') }}
    where {{ in_scope(scope) }}
),

-- Items in the order they became available: those available in an hour are a prefix.
ranked_items as (
    select
        tenant_id,
        item_id,
        available_at,
        row_number() over (partition by tenant_id order by available_at, item_id) - 1 as item_rank
    from item_availability
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
    from positives
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
    from known_items
    inner join ranked_items
        on
            known_items.tenant_id = ranked_items.tenant_id
            and known_items.item_id = ranked_items.item_id
),

{{ eligible_counts('positives', 'available_counts', 'known_ranks') }},

{{ draws('eligible_counts') }},

{{ drawn_ranks('draws', 'known_ranks') }},

sampled_negatives as (
    select
        drawn_ranks.tenant_id,
        drawn_ranks.user_id,
        ranked_items.item_id,
        drawn_ranks.positive_item_id,
        drawn_ranks.draw_index,
        drawn_ranks.eligible_count,
        drawn_ranks.sampling_probability,
        drawn_ranks.event_time
    from drawn_ranks
    inner join ranked_items
        on
            drawn_ranks.tenant_id = ranked_items.tenant_id
            and drawn_ranks.item_rank = ranked_items.item_rank
)

{{ with_tombstones(
    'sampled_negatives', scope, key=['tenant_id', 'user_id', 'positive_item_id', 'draw_index']
) }}
