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
weighted_negatives as (
    select
        cast(null as string) as tenant_id,
        cast(null as string) as user_id,
        cast(null as string) as item_id,
        cast(null as string) as positive_item_id,
        cast(null as int) as draw_index,
        cast(null as bigint) as eligible_count,
        cast(null as string) as drawn_by,
        cast(null as bigint) as popularity,
        cast(null as double) as type_weight,
        cast(null as double) as sampling_probability,
        cast(null as double) as logq,
        cast(null as timestamp) as event_time
    where false
)
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
            and coalesce(
                date_trunc('hour', wished_lines.positive_time),
                timestamp_seconds(1 + 3600 * pmod(hash(wished_lines.user_id), 100000))
            ) = available_counts.event_hour
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

known_places as (
    select
        users_lines.*,
        line_places.place,
        line_places.weight
    from users_lines
    left join {{ lines }} as line_places
        on
            users_lines.tenant_id = line_places.tenant_id
            -- null is that of the line of all items
            and users_lines.at.line_period <=> line_places.period
            and users_lines.at.line = line_places.line
            and users_lines.item_id = line_places.item_id
),

line_positions as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        seed,
        wanted_count,
        at.line_period as period,
        at.line,
        line_count,
        bucket_length,
        longest,
        explode(array(
            struct(place as position, weight as known_weight, 1 as is_known),
            struct(
                if(at.line = line and at.line_period <=> line_period, line_weight, null) as position,
                0L as known_weight,
                0 as is_known
            )
        )) as mark
    from known_places
),

counted_lines as (
    select
        *,
        mark.position - sum(mark.known_weight) over known_so_far as free_weight,
        line_count - sum(mark.is_known) over known_so_far as free_count
    from line_positions
    -- an item that is not on the line, and a pair that draws nothing from it
    where mark.position is not null
    window known_so_far as (
        partition by tenant_id, user_id, period, line
        -- an item that begins where the line ends lies beyond it
        order by mark.position, mark.is_known
        rows between unbounded preceding and current row
    )
),

wanted_draws as (
    select
        *,
        case
            when mark.is_known = 0
                then if(line = 'p', wanted_count, least(wanted_count, free_count))
        end as draw_count
    from counted_lines
    where mark.is_known = 1 or (free_weight > 0 and wanted_count > 0)
),

placed_draws as (
    select
        *,
        explode(if(mark.is_known = 1, array(0L), sequence(1L, draw_count))) as draw_index
    from wanted_draws
),

-- the distances: at least `spacing` each, and a random part of what is left of the line
spaced_draws as (
    select
        *,
        least(longest, free_weight div draw_count) as spacing,
        free_weight - draw_count * least(longest, free_weight div draw_count) as slack,
        -- an item may be longer than the distances
        longest > free_weight div draw_count as has_repeats,
        concat_ws('|', seed, tenant_id, user_id, item_id) as draw_key
    from placed_draws
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
        (draw_index - 2) * spacing + ((draw_index - 2) * slack) div draw_count as bound_before,
        pmod(
            xxhash64(concat_ws('|', draw_key, 'offset')), nullif(free_weight, 0)
        ) as draw_offset
    from spaced_draws
),

free_positions as (
    select
        *,
        if(
            mark.is_known = 1,
            free_weight + mark.known_weight,
            (draw_offset + bound) % free_weight
        ) as free_position
    from line_bounds
),

drawn_places as (
    select
        *,
        free_position + sum(mark.known_weight) over (
            partition by tenant_id, user_id, period, line
            order by free_position, mark.is_known desc
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
        drawn_places.*,
        line_buckets.item_id as drawn_item_id,
        line_buckets.popularity,
        line_buckets.weight,
        drawn_places.place - line_buckets.place as depth
    from drawn_places
    inner join line_buckets
        on
            drawn_places.tenant_id = line_buckets.tenant_id
            and drawn_places.period <=> line_buckets.period
            and drawn_places.line = line_buckets.line
            and drawn_places.place div drawn_places.bucket_length = line_buckets.bucket
            and drawn_places.place >= line_buckets.place
            and drawn_places.place < line_buckets.place + line_buckets.weight
    where drawn_places.mark.is_known = 0
),

weighted_negatives as (
    select
        tenant_id,
        user_id,
        drawn_item_id as item_id,
        item_id as positive_item_id,
        cast(draw_index as int) as draw_index,
        free_count as eligible_count,
        case line when 'u' then 'uniform' when 'p' then 'popularity' else 'category' end as drawn_by,
        popularity,
        {{- further(carried) }}
        least(draw_count * weight, free_weight) / cast(free_weight as double) as sampling_probability,
        ln(weight / cast(free_weight as double)) as logq,
        positive_time as event_time
    from found_items
    where
        draw_index = 1
        or not has_repeats
        -- neither the place before nor, around the end of the line, the first one is in the item
        or (depth < bound - bound_before and weight - depth <= free_weight - bound)
)
{%- endif -%}
{%- endmacro %}
