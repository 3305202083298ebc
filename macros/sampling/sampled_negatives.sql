{% macro sampled_negatives(
    pairs, item_availability, times, time, settings=none, carried=[], in_turn=none
) -%}
    {#-
    CTE `sampled_negatives`: for each positive k' = min(k, M) distinct items of the M that were
    available in its hour and that the user does not know, each with probability k'/M; one row per
    draw, with `positive_item_id`, `draw_index`, `eligible_count` and `sampling_probability`.

      pairs               one row per user and item that the user knows, with `positive_time`: the time
                          for which negatives are drawn, null if none
      item_availability   one row per item with `available_at`, a whole hour
      times, time         rows, and their column, among which every `positive_time` is
      settings            one row per tenant with settings of its own; the model of them if not given
      carried             further columns of `pairs` that each draw has from its positive
      in_turn             a condition on them; see `draws`

    Everything is a rank: the items in the order in which they became available, those of an hour being
    a prefix. A user's known items are ranks e_0 < e_1 < …. M is the prefix's length less the known
    ranks in it, a running count over both in one order. The item at a drawn position r is the one
    with rank r + |{j : g_j <= r}|, for the gap positions g_j = e_j - j: again a running count.
    -#}
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
        date_trunc('hour', {{ time }}) as event_hour,
        0 as new_item_count
    from {{ times }}
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

{{ sampling_ranks(pairs, carried) }},

{{ draws('eligible_counts', settings, carried, in_turn) }},

{{ drawn_ranks('draws') }},

sampled_negatives as (
    select
        drawn_ranks.tenant_id,
        drawn_ranks.user_id,
        ranked_items.item_id,
        drawn_ranks.positive_item_id,
        drawn_ranks.draw_index,
        drawn_ranks.eligible_count,
        {{- further(carried, 'drawn_ranks') }}
        drawn_ranks.draw_count / cast(drawn_ranks.eligible_count as double) as sampling_probability,
        drawn_ranks.positive_time as event_time
    from drawn_ranks
    inner join ranked_items
        on
            drawn_ranks.tenant_id = ranked_items.tenant_id
            and drawn_ranks.item_rank = ranked_items.item_rank
)
{%- endmacro %}
