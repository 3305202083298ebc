{% macro mixed_hits(draws, slots, carried=[]) -%}
    {#-
    CTE `mixed_hits`: the items that are drawn for a positive, in the order of the strategies, each once, min(k, M) of them.
    With `uniform_count` (M), `draw_count` and `strategy_count`, how many are drawn in all and by the strategy, and
    `eligible_weight`, the eligible part of the strategy's line.
    -#}
slot_buckets as (
    select
        tenant_id,
        strategy,
        category,
        item_id,
        slot_start,
        slot_start + added_weight as slot_end,
        explode(sequence(
            slot_start div bucket_width, (slot_start + added_weight - 1) div bucket_width
        )) as bucket
    from {{ slots }}
    where added_weight > 0
),

hits as (
    select
        draws.*,
        slot_buckets.item_id
    from {{ draws }} as draws
    inner join slot_buckets
        on
            draws.tenant_id = slot_buckets.tenant_id
            and draws.strategy = slot_buckets.strategy
            and draws.category = slot_buckets.category
            and draws.bucket = slot_buckets.bucket
    where
        draws.line_position >= slot_buckets.slot_start
        and draws.line_position < slot_buckets.slot_end
),

hit_lists as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        {%- for column in carried %}
        max({{ column }}) as {{ column }},
        {%- endfor %}
        max(positive_time) as positive_time,
        max(popularity_share) as popularity_share,
        max(if(strategy = 'uniform', eligible_weight, null)) as uniform_count,
        least(
            max(negatives_per_positive), max(if(strategy = 'uniform', eligible_weight, null))
        ) as draw_count,
        -- category, popularity, uniform: in the order of the alphabet
        array_sort(collect_list(struct(strategy, draw_number, item_id, eligible_weight))) as hits
    from hits
    group by tenant_id, user_id, positive_item_id
),

distinct_hits as (
    select
        * except (hits),
        slice(
            aggregate(
                hits,
                filter(hits, hit -> false),
                (drawn, hit) -> if(
                    exists(drawn, earlier -> earlier.item_id = hit.item_id),
                    drawn,
                    concat(drawn, array(hit))
                )
            ),
            1,
            cast(draw_count as int)
        ) as hits
    from hit_lists
),

numbered_hits as (
    select
        *,
        posexplode(hits) as (hit_position, hit)
    from distinct_hits
),

mixed_hits as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        {{- further(carried) }}
        popularity_share,
        uniform_count,
        draw_count,
        cast(hit_position + 1 as int) as draw_index,
        hit.item_id,
        hit.strategy,
        hit.eligible_weight,
        array_size(filter(hits, other -> other.strategy = hit.strategy)) as strategy_count
    from numbered_hits
)
{%- endmacro %}
