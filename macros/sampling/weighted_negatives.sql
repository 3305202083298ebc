{% macro weighted_negatives(lines, pairs, catalogue, carried=[], has_category=true) -%}
    {#-
    CTE `weighted_negatives`: for each positive of the tenants in `told_negatives` up to k distinct items that the user does
    not know, all drawn from the line of one way (see `draw_lines`): by a hash of the positive, in the tenant's shares, the
    items by popularity, those of the positive's own category, or all alike. Where that line is empty, or the item has no
    category by then, all alike. One row per draw, as of `sampled_negatives`, with `drawn_by`, `popularity` and `logq`, the
    logarithm of w / W.

    The k places of a positive lie on what is left of the line, of length W, when the known items are taken out of it: at
    random distances, none less than the line's longest item, all moved on by one random offset, so that an item of
    length w has one of them with probability k·w / W. Where the longest item is longer than W / k the distances are
    equal, and two places may lie in one item: the later one is dropped, and the probability is min(1, k·w / W).
    Whole numbers only, so both are exact. `lines`: see `draw_lines`; `pairs`, `carried`: see
    `sampled_negatives`; `catalogue`: the versions of items that were in force.

    The known items and the places are counted in two window passes over one partitioning, as those of `sampled_negatives`, but
    lengths take the place of counts. A user's known items are on each of the lines that a positive of theirs needs.
    Where no tenant asks, and so `lines` is none, there is no row.
    -#}
{%- if lines is none -%}
{{ negatives_of_nobody('weighted_negatives', {'drawn_by': 'string', 'popularity': 'bigint', 'logq': 'double'}) }}
{%- else -%}
line_ends as (
    select distinct
        tenant_id,
        period,
        line,
        line_weight,
        line_count,
        longest,
        bucket_length
    from {{ lines }}
    where line != 'u'
),

chosen_ways as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.positive_time,
        {{- further(carried, 'pairs') }}
        told_negatives.seed,
        told_negatives.wanted_count,
        {{ period_of('pairs.positive_time') }} as period,
        if(
            pairs.positive_time is null,
            null,
            pmod(
                xxhash64(concat_ws(
                    '|', told_negatives.seed, pairs.tenant_id, pairs.user_id, pairs.item_id, 'way'
                )),
                10000
            )
        ) as lot,
        told_negatives.popularity_share,
        told_negatives.popularity_share + told_negatives.category_share as weighted_share
    from {{ pairs }} as pairs
    inner join told_negatives
        on pairs.tenant_id = told_negatives.tenant_id
),

{% if has_category -%}
wished_lines as (
    select
        chosen_ways.*,
        case
            when chosen_ways.lot < chosen_ways.popularity_share then 'p'
            when chosen_ways.lot < chosen_ways.weighted_share then concat('c', catalogue.category)
        end as wished_line
    from chosen_ways
    left join {{ catalogue }} as catalogue
        on
            chosen_ways.tenant_id = catalogue.tenant_id
            and chosen_ways.item_id = catalogue.item_id
            and chosen_ways.lot >= chosen_ways.popularity_share
            and chosen_ways.lot < chosen_ways.weighted_share
            -- the one version that was in force
            and chosen_ways.positive_time > catalogue.valid_from
            and coalesce(chosen_ways.positive_time <= catalogue.valid_until, true)
),
{%- else -%}
wished_lines as (
    select
        *,
        if(lot < popularity_share, 'p', null) as wished_line
    from chosen_ways
),
{%- endif %}

-- where the line that the positive draws from ends, or would if the user knew none of its items
ended_lines as (
    select
        wished_lines.*,
        coalesce(line_ends.line, 'u') as line,
        line_ends.period as line_period,
        case
            when wished_lines.positive_time is not null
                then coalesce(line_ends.line_weight, available_counts.available_count)
        end as line_weight,
        coalesce(line_ends.line_count, available_counts.available_count) as line_count,
        coalesce(line_ends.bucket_length, 1L) as bucket_length,
        coalesce(line_ends.longest, 1L) as longest
    from wished_lines
    left join line_ends
        on
            wished_lines.tenant_id = line_ends.tenant_id
            and wished_lines.period = line_ends.period
            and wished_lines.wished_line = line_ends.line
    left join available_counts
        on
            wished_lines.tenant_id = available_counts.tenant_id
            and {{ hour_of_positive('wished_lines') }} = available_counts.event_hour
),

lined_users as (
    select
        *,
        collect_set(if(line_weight is null, null, struct(line_period, line))) over (
            partition by tenant_id, user_id
        ) as lines
    from ended_lines
),

users_lines as (
    select
        * except (lines),
        explode(lines) as at
    from lined_users
),

-- an item that the user knows is repeated on each line, and what its positive needs stays on one
line_pairs as (
    select
        tenant_id,
        user_id,
        item_id,
        at.line_period as period,
        at.line,
        xxhash64(concat_ws('|', tenant_id, user_id, at.line_period, at.line)) as line_hash,
        if(
            at.line = line and at.line_period <=> line_period and line_weight is not null,
            struct(
                line_weight,
                line_count,
                bucket_length,
                longest,
                positive_time,
                {{- further(carried) }}
                seed,
                wanted_count
            ),
            null
        ) as positive
    from users_lines
),

known_places as (
    select
        line_pairs.*,
        line_places.place,
        line_places.weight
    from line_pairs
    left join {{ lines }} as line_places
        on
            line_pairs.tenant_id = line_places.tenant_id
            -- null is that of the line of all items
            and line_pairs.period <=> line_places.period
            and line_pairs.line = line_places.line
            and line_pairs.item_id = line_places.item_id
    -- an item that is not on the line, and a pair that draws nothing from it
    where line_places.place is not null or line_pairs.positive is not null
),

marked_places as (
    select
        tenant_id,
        user_id,
        period,
        line,
        line_hash,
        if(
            place is null,
            null,
            struct(
                place as position,
                weight as known_weight,
                1 as is_known,
                cast(null as string) as item_id,
                if(false, positive, null) as positive
            )
        ) as known_item,
        if(
            positive is null,
            null,
            struct(
                positive.line_weight as position,
                0L as known_weight,
                0 as is_known,
                item_id,
                positive
            )
        ) as drawing_pair
    from known_places
),

line_positions as (
    select
        tenant_id,
        user_id,
        period,
        line,
        line_hash,
        explode(
            case
                when drawing_pair is null then array(known_item)
                when known_item is null then array(drawing_pair)
                else array(known_item, drawing_pair)
            end
        ) as mark
    from marked_places
),

counted_lines as (
    select
        tenant_id,
        user_id,
        period,
        line,
        line_hash,
        mark.is_known,
        mark.known_weight,
        mark.item_id,
        mark.positive,
        mark.position - sum(mark.known_weight) over known_so_far as free_weight,
        mark.positive.line_count - sum(mark.is_known) over known_so_far as free_count
    from line_positions
    window known_so_far as (
        -- rows are sorted by a number before they are by texts
        partition by line_hash, tenant_id, user_id, period, line
        -- an item that begins where the line ends lies beyond it
        order by mark.position, mark.is_known
        rows between unbounded preceding and current row
    )
),

wanted_draws as (
    select
        *,
        case
            when is_known = 0
                then if(
                    line = 'p',
                    positive.wanted_count,
                    least(positive.wanted_count, free_count)
                )
        end as draw_count
    from counted_lines
    where is_known = 1 or (free_weight > 0 and positive.wanted_count > 0)
),

-- the distances: at least `spacing` each, and a random part of what is left of the line
spaced_draws as (
    select
        *,
        least(positive.longest, free_weight div draw_count) as spacing,
        free_weight - draw_count * least(positive.longest, free_weight div draw_count) as slack,
        concat_ws('|', positive.seed, tenant_id, user_id, item_id) as draw_key
    from wanted_draws
),

placed_draws as (
    select
        *,
        pmod(
            xxhash64(concat_ws('|', draw_key, 'offset')), nullif(free_weight, 0)
        ) as draw_offset,
        explode(if(is_known = 1, array(0L), sequence(1L, draw_count))) as draw_index
    from spaced_draws
),

line_bounds as (
    select
        *,
        (draw_index - 1) * spacing
        + ((draw_index - 1) * slack) div draw_count
        + pmod(
            xxhash64(concat_ws('|', draw_key, draw_index)),
            greatest(
                (draw_index * slack) div draw_count - ((draw_index - 1) * slack) div draw_count, 1L
            )
        ) as bound,
        (draw_index - 2) * spacing + ((draw_index - 2) * slack) div draw_count as bound_before
    from placed_draws
),

free_positions as (
    select
        tenant_id,
        user_id,
        period,
        line,
        line_hash,
        is_known,
        known_weight,
        if(
            is_known = 1,
            free_weight + known_weight,
            (draw_offset + bound) % free_weight
        ) as free_position,
        if(
            is_known = 1,
            null,
            struct(
                item_id,
                positive.positive_time,
                {{- further(carried, 'positive') }}
                positive.bucket_length,
                draw_index,
                draw_count,
                free_weight,
                free_count,
                -- an item may be longer than the distances
                positive.longest > free_weight div draw_count as has_repeats,
                -- how far the place before is, and around the end of the line the first one
                bound - bound_before as distance,
                free_weight - bound as distance_to_end
            )
        ) as draw
    from line_bounds
),

drawn_places as (
    select
        *,
        free_position + sum(known_weight) over (
            partition by line_hash, tenant_id, user_id, period, line
            order by free_position, is_known desc
            rows between unbounded preceding and current row
        ) as place
    from free_positions
),

line_buckets as (
    select
        *,
        explode(sequence(place div bucket_length, (place + weight - 1) div bucket_length)) as bucket
    from {{ lines }}
),

found_items as (
    select
        drawn_places.tenant_id,
        drawn_places.user_id,
        drawn_places.line,
        drawn_places.draw,
        line_buckets.item_id,
        line_buckets.popularity,
        line_buckets.weight,
        drawn_places.place - line_buckets.place as depth
    from drawn_places
    inner join line_buckets
        on
            drawn_places.tenant_id = line_buckets.tenant_id
            and drawn_places.period <=> line_buckets.period
            and drawn_places.line = line_buckets.line
            and drawn_places.place div drawn_places.draw.bucket_length = line_buckets.bucket
            and drawn_places.place >= line_buckets.place
            and drawn_places.place < line_buckets.place + line_buckets.weight
    where drawn_places.is_known = 0
),

weighted_negatives as (
    select
        tenant_id,
        user_id,
        item_id,
        draw.item_id as positive_item_id,
        cast(draw.draw_index as int) as draw_index,
        draw.free_count as eligible_count,
        case line when 'u' then 'uniform' when 'p' then 'popularity' else 'category' end as drawn_by,
        popularity,
        {{- further(carried, 'draw') }}
        least(draw.draw_count * weight, draw.free_weight) / cast(draw.free_weight as double)
            as sampling_probability,
        ln(weight / cast(draw.free_weight as double)) as logq,
        draw.positive_time as event_time
    from found_items
    where
        draw.draw_index = 1
        or not draw.has_repeats
        -- neither the place before nor, around the end of the line, the first one is in the item
        or (depth < draw.distance and weight - depth <= draw.distance_to_end)
)
{%- endif -%}
{%- endmacro %}
