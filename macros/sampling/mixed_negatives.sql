{% macro mixed_negatives(kept, pairs, settings, carried=[]) -%}
    {#-
    CTE `mixed_negatives`: the negatives of tenants with shares, with `negative_strategy`, `drawn_popularity` and as
    `sampling_probability` that of a single draw of the strategy, before what the user knows is passed over.

      kept       what `kept_draws` returns
      pairs      as of `sampled_negatives`, of all tenants
      settings   one row per tenant
      carried    further columns of the pairs that each negative has from its positive

    Follows `sampled_negatives` of the `refill_pairs`.
    -#}
{{ sampling_settings(settings) }},

{{ line_totals(kept.slots, pairs) }},

refills as (
    select
        sampled.tenant_id,
        sampled.user_id,
        sampled.positive_item_id,
        sampled.item_id,
        sampled.event_time,
        {{- further(carried, 'sampled') }}
        line_totals.uniform_total as line_total,
        retried.wanted_count - size(retried.drawn) as missing_count,
        row_number() over (
            partition by sampled.tenant_id, sampled.user_id, sampled.positive_item_id
            order by sampled.draw_index
        ) as refill_index
    from sampled_negatives as sampled
    inner join {{ kept.retried }} as retried
        on
            sampled.tenant_id = retried.tenant_id
            and sampled.user_id = retried.user_id
            and sampled.positive_item_id = retried.positive_item_id
    left join line_totals
        on
            sampled.tenant_id = line_totals.tenant_id
            and date_trunc('hour', sampled.event_time) = line_totals.event_hour
    where
        sampled.is_refill
        and not exists(retried.drawn, draw -> draw.item_id = sampled.item_id)
),

gap_draws as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        {{- further(carried) }}
        inline(drawn)
    from {{ kept.retried }}
    union all
    select
        tenant_id,
        user_id,
        positive_item_id,
        event_time as positive_time,
        {{- further(carried) }}
        -- after all others
        2147483647 as draw_index,
        cast(refill_index as int) as attempt,
        item_id,
        'uniform' as strategy,
        line_total
    from refills
    where refill_index <= missing_count
),

all_draws as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        {{- further(carried) }}
        draw_index,
        item_id,
        strategy,
        line_total
    from {{ kept.draws }}
    where draw_index > 0 and not has_gap
    union all
    select
        tenant_id,
        user_id,
        positive_item_id,
        positive_time,
        {{- further(carried) }}
        cast(row_number() over (
            partition by tenant_id, user_id, positive_item_id order by draw_index, attempt
        ) as int) as draw_index,
        item_id,
        strategy,
        line_total
    from gap_draws
),

popularities as (
    select
        slots.tenant_id,
        slots.item_id,
        slots.popularity,
        {{ popularity_weight('slots.popularity') }} as item_weight,
        slots.counts_from,
        slots.counts_until
    from {{ kept.slots }} as slots
    inner join sampling_settings as settings
        on slots.tenant_id = settings.tenant_id
    where slots.strategy = 'popularity'
),

mixed_negatives as (
    select
        draws.tenant_id,
        draws.user_id,
        draws.item_id,
        draws.positive_item_id,
        draws.draw_index,
        draws.strategy as negative_strategy,
        {{- further(carried, 'draws') }}
        cast(null as bigint) as eligible_count,
        popularities.popularity as drawn_popularity,
        if(draws.strategy = 'popularity', popularities.item_weight, 1L)
        / cast(draws.line_total as double) as sampling_probability,
        draws.positive_time as event_time
    from all_draws as draws
    left join popularities
        on
            draws.tenant_id = popularities.tenant_id
            and draws.item_id = popularities.item_id
            and draws.positive_time >= popularities.counts_from
            and draws.positive_time < popularities.counts_until
)
{%- endmacro %}


{% macro retried_draws(draws, slots, settings, carried=[]) -%}
    {#-
    A statement: per positive with a gap what it drew, `drawn`, where each draw that was passed over is the first of k + 4
    further ones (by category three times as many) of its strategy that is not.
    -#}
with

{{ sampling_settings(settings) }},

{{ line_pieces(slots) }},

retries as (
    select
        draws.*,
        draws.positive_item_id as item_id,
        settings.seed,
        -- a category may have few items, and some are drawn
        explode(sequence(
            1, if(draws.strategy = 'category', 3, 1) * (settings.negatives_per_positive + 4)
        )) as attempt
    from (select * except (item_id) from {{ draws }} where is_passed_over) as draws
    inner join sampling_settings as settings
        on draws.tenant_id = settings.tenant_id
),

placed_retries as (
    select
        *,
        {{ place_on_line(
            ['tenant_id', 'user_id', 'item_id', 'strategy', 'draw_index', 'attempt']
        ) }} as place
    from retries
),

retry_hits as (
    select
        retries.tenant_id,
        retries.user_id,
        retries.positive_item_id,
        retries.draw_index,
        retries.attempt,
        pieces.item_id,
        retries.strategy,
        retries.line_total
    from placed_retries as retries
    inner join line_pieces as pieces
        on
            retries.tenant_id = pieces.tenant_id
            and retries.strategy = pieces.strategy
            and retries.category = pieces.category
            and retries.place div retries.piece_width = pieces.piece
            and retries.place >= pieces.slot_start
            and retries.place < pieces.slot_end
),

unknown_hits as (
    select * from retry_hits
    left anti join (select * from {{ draws }} where draw_index = 0) as known_items
        on
            retry_hits.tenant_id = known_items.tenant_id
            and retry_hits.user_id = known_items.user_id
            and retry_hits.item_id = known_items.item_id
),

retry_lists as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        array_sort(
            collect_list(struct(draw_index, attempt, item_id, strategy, line_total))
        ) as hits
    from unknown_hits
    group by tenant_id, user_id, positive_item_id
),

gap_lists as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        max(positive_time) as positive_time,
        {%- for column in carried %}
        max({{ column }}) as {{ column }},
        {%- endfor %}
        cast(count(*) as int) as wanted_count,
        collect_list(
            if(
                is_passed_over,
                null,
                struct(draw_index, 0 as attempt, item_id, strategy, line_total)
            )
        ) as hits
    from {{ draws }}
    where draw_index > 0 and has_gap
    group by tenant_id, user_id, positive_item_id
),

retried_draws as (
    select
        gap_lists.* except (hits),
        aggregate(
            coalesce(retry_lists.hits, array()),
            gap_lists.hits,
            (drawn, hit) -> if(
                exists(
                    drawn, one -> one.draw_index = hit.draw_index or one.item_id = hit.item_id
                ),
                drawn,
                concat(drawn, array(hit))
            )
        ) as drawn
    from gap_lists
    left join retry_lists
        on
            gap_lists.tenant_id = retry_lists.tenant_id
            and gap_lists.user_id = retry_lists.user_id
            and gap_lists.positive_item_id = retry_lists.positive_item_id
)

select * from retried_draws
{%- endmacro %}


{% macro refill_pairs(kept, carried=[]) -%}
    {#-
    CTE `refill_pairs`: the known items of users with a positive that still has less draws than the `wanted_count`, with
    `positive_time` where they are such a one; uniform draws complete it.
    -#}
short_draws as (
    select * from {{ kept.retried }}
    where size(drawn) < wanted_count
),

refill_pairs as (
    select
        known_items.tenant_id,
        known_items.user_id,
        known_items.item_id,
        short_draws.positive_time,
        {{- further(carried, 'known_items') }}
        true as is_refill
    from {{ kept.draws }} as known_items
    left semi join short_draws as short_users
        on
            known_items.tenant_id = short_users.tenant_id
            and known_items.user_id = short_users.user_id
    left join short_draws
        on
            known_items.tenant_id = short_draws.tenant_id
            and known_items.user_id = short_draws.user_id
            and known_items.item_id = short_draws.positive_item_id
    where known_items.draw_index = 0
)
{%- endmacro %}
