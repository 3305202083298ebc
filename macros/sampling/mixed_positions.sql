{% macro mixed_pairs(pairs, carried=[]) -%}
    {#-
    CTE `mixed_pairs`: the pairs of tenants with shares, with the slots of their item, the lengths of the lines in the
    positive's hour and the category that its item had then. Reads `mixed_settings`, `item_slots` and `line_totals`.
    -#}
placed_pairs_of_shares as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.positive_time,
        {{- further(carried, 'pairs') }}
        date_trunc('hour', pairs.positive_time) as positive_hour,
        settings.popularity_share,
        settings.category_share,
        settings.negatives_per_positive,
        settings.seed,
        item_slots.slots,
        line_totals.uniform_total,
        line_totals.popularity_total,
        line_totals.popularity_width
    from {{ pairs }} as pairs
    inner join mixed_settings as settings
        on pairs.tenant_id = settings.tenant_id
    left join item_slots
        on
            pairs.tenant_id = item_slots.tenant_id
            and pairs.item_id = item_slots.item_id
    left join line_totals
        on
            pairs.tenant_id = line_totals.tenant_id
            -- what has no time gets one that is no hour's: so many nulls would all go to one task
            and coalesce(
                date_trunc('hour', pairs.positive_time),
                timestamp_seconds(1 + 3600 * pmod(hash(pairs.user_id), 100000))
            ) = line_totals.event_hour
),

mixed_pairs as (
    select
        *,
        if(
            category_share > 0,
            array_max(transform(
                filter(slots, slot -> slot.strategy = 'category' and slot.counts_from <= positive_hour),
                slot -> struct(slot.counts_from, nullif(slot.category, '') as category)
            )).category,
            null
        ) as category
    from placed_pairs_of_shares
)
{%- endmacro %}


{% macro mixed_positions(pairs, carried=[]) -%}
    {#-
    CTE `mixed_positions`: one row per slot of a known item of a user (`is_known` 1), with its position among what
    the user does not know; and one per positive and strategy (`is_known` 0) with `eligible_weight`: how much of the
    line counts in its hour and is of unknown items. At a tie the positive comes first, because a slot that
    starts at the prefix's length lies beyond it.
    -#}
line_positions as (
    select
        * except (slots, uniform_total, popularity_total, category_total, category),
        explode(concat(
            transform(
                filter(
                    coalesce(slots, array()),
                    slot -> slot.added_weight > 0
                    and (slot.strategy <> 'popularity' or popularity_share > 0)
                    and (slot.strategy <> 'category' or category_share > 0)
                ),
                slot -> {{ line_place(
                    'slot.strategy', 'slot.category', 'slot.slot_start', 'slot.added_weight', 1
                ) }}
            ),
            if(
                positive_time is null,
                array(),
                filter(
                    array(
                        {{ line_place("'uniform'", "''", 'uniform_total') }},
                        {{ line_place(
                            "'popularity'", "''", 'if(popularity_share > 0, popularity_total, null)'
                        ) }},
                        {{ line_place(
                            "'category'", "coalesce(category, '')",
                            'if(category is null, null, category_total)'
                        ) }}
                    ),
                    line -> line.position is not null
                )
            )
        )) as place
    from {{ pairs }}
),

known_weights as (
    select
        *,
        sum(place.weight) over (
            partition by tenant_id, user_id, place.strategy, place.category
            order by place.position, place.is_known
            rows between unbounded preceding and current row
        ) as known_weight
    from line_positions
),

mixed_positions as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        popularity_share,
        category_share,
        negatives_per_positive,
        popularity_width,
        seed,
        place.strategy,
        place.category,
        place.weight,
        place.is_known,
        place.position - known_weight + place.weight as position,
        if(place.is_known = 0, place.position - known_weight, null) as eligible_weight
    from known_weights
)
{%- endmacro %}


{% macro line_place(strategy, category, position, weight='0L', is_known=0) -%}
    named_struct(
        'strategy', {{ strategy }},
        'category', {{ category }},
        'position', {{ position }},
        'weight', {{ weight }},
        'is_known', {{ is_known }}
    )
{%- endmacro %}
