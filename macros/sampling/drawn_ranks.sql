{% macro drawn_ranks(draws, known_ranks) -%}
    {#-
    CTE `drawn_ranks`: the rank of the item at each drawn eligible position r, which is
    r + |{j : g_j <= r}| for the user's gap positions g_j. At a tie the gap comes first.
    -#}
draw_events as (
    select
        tenant_id,
        user_id,
        gap_position as position,
        0 as is_draw,
        cast(null as string) as positive_item_id,
        cast(null as int) as draw_index,
        cast(null as bigint) as eligible_count,
        cast(null as double) as sampling_probability,
        cast(null as timestamp) as event_time
    from {{ known_ranks }}
    union all
    select
        tenant_id,
        user_id,
        eligible_position as position,
        1 as is_draw,
        positive_item_id,
        draw_index,
        eligible_count,
        sampling_probability,
        event_time
    from {{ draws }}
),

counted_draw_events as (
    select
        *,
        position + sum(1 - is_draw) over (
            partition by tenant_id, user_id
            order by position, is_draw
            rows between unbounded preceding and current row
        ) as item_rank
    from draw_events
),

drawn_ranks as (
    select * from counted_draw_events
    where is_draw = 1
)
{%- endmacro %}
