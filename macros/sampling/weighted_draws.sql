{% macro weighted_draws(known_pairs, item_weights) -%}
    {#-
    CTE `weighted_draws`: one row per item that was drawn by weight for a positive, with the `sampling_probability` of
    the draw and `drawn_popularity`. Of the numbers drawn for a strategy the first that fall on different
    eligible items count, as many as its share: what was drawn before is drawn no more, so category leaves its items
    out of the popularity's. Where too few do, the rest of the share is left to the uniform draws.
    Reads `weighted_tries` and `weighted_slots`.

    An item of the category has the probability c / C: c drawn of C eligible. By popularity it is the weight over
    that of all eligible items which were not drawn for the positive before.
    -#}
hits as (
    select
        tries.tenant_id,
        tries.user_id,
        tries.positive_item_id,
        tries.positive_time,
        tries.eligible_weight,
        tries.category_count,
        tries.drawn_by.priority,
        tries.drawn_by.strategy,
        tries.drawn_by.share,
        tries.try_number,
        slots.item_id
    from weighted_tries as tries
    inner join weighted_slots as slots
        on
            tries.tenant_id = slots.tenant_id
            and tries.drawn_by.strategy = slots.strategy
            and tries.drawn_by.category = slots.category
            and tries.number div tries.drawn_by.bucket_width = slots.bucket
    where
        tries.number >= slots.lower_bound
        and tries.number < slots.upper_bound
        and not coalesce(unix_micros(tries.positive_time) >= slots.end_us, false)
),

unknown_hits as (
    select hits.*
    from hits
    left anti join {{ known_pairs }} as pairs
        on
            hits.tenant_id = pairs.tenant_id
            and hits.user_id = pairs.user_id
            and hits.item_id = pairs.item_id
),

hit_lists as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        eligible_weight,
        category_count,
        sort_array(collect_list(struct(priority, try_number, strategy, share, item_id))) as hits
    from unknown_hits
    group by
        tenant_id, user_id, positive_item_id, positive_time, eligible_weight, category_count
),

drawn_lists as (
    select
        *,
        aggregate(
            hits,
            filter(hits, hit -> false),
            (drawn, hit) -> if(
                exists(drawn, other -> other.item_id = hit.item_id)
                or array_size(filter(drawn, other -> other.strategy = hit.strategy)) >= hit.share,
                drawn,
                concat(drawn, array(hit))
            )
        ) as drawn
    from hit_lists
),

drawn_items as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        eligible_weight,
        category_count,
        array_size(filter(drawn, other -> other.strategy = 'category')) as category_draw_count,
        posexplode(drawn) as (draw_position, draw)
    from drawn_lists
),

drawn_moments as (
    select
        tenant_id,
        item_id,
        counts_from as moment,
        weight,
        popularity,
        null as drawn
    from {{ item_weights }}
    union all
    select
        tenant_id,
        draw.item_id,
        date_trunc('hour', positive_time) as moment,
        null as weight,
        null as popularity,
        struct(
            user_id,
            positive_item_id,
            positive_time,
            eligible_weight,
            category_count,
            category_draw_count,
            draw.strategy as strategy,
            draw_position + 1 as draw_index
        ) as drawn
    from drawn_items
),

drawn_weights as (
    select
        tenant_id,
        item_id,
        drawn,
        max(weight) over so_far as weight,
        max(popularity) over so_far as popularity
    from drawn_moments
    window so_far as (partition by tenant_id, item_id order by moment)
),

earlier_weights as (
    select
        *,
        coalesce(sum(weight) over (
            partition by tenant_id, drawn.user_id, drawn.positive_item_id
            order by drawn.draw_index
            rows between unbounded preceding and 1 preceding
        ), 0) as earlier_weight
    from drawn_weights
    where drawn is not null
),

weighted_draws as (
    select
        tenant_id,
        drawn.user_id,
        item_id,
        drawn.positive_item_id,
        drawn.draw_index,
        drawn.strategy as negative_strategy,
        if(
            drawn.strategy = 'category',
            drawn.category_draw_count / cast(drawn.category_count as double),
            weight / cast(drawn.eligible_weight - earlier_weight as double)
        ) as sampling_probability,
        popularity as drawn_popularity,
        drawn.positive_time as event_time
    from earlier_weights
)
{%- endmacro %}
