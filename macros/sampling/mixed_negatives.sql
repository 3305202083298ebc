{% macro mixed_negatives(pairs, slots, times, time, settings, by_category, carried=[]) -%}
    {#-
    CTE `mixed_negatives`: what `sampled_negatives` is for tenants that draw uniformly, for those with shares of other
    strategies: min(k, M) distinct items per positive, as many by category and by popularity as the shares say, and
    in the place of what these could not draw uniform ones. With `negative_strategy` and `drawn_popularity`.

      pairs, times, time, carried   as of `sampled_negatives`
      slots                         rows of `sampling_slots`, to select from
      settings                      one row per tenant
      by_category                   whether some tenant draws by category

    Each strategy has a line per tenant (by category: one per category), on which each item has slots as long as it
    has weight, in the order of the hours from which they count. What counts in an hour is a prefix of the
    line, as items are a prefix of ranks in `sampled_negatives`: the same two running counts leave out what
    the user knows. Uniform draws and those by category are a random order of distinct ones, each as likely as
    the next whatever came before it; those by popularity are independent of each other, and an item
    that is drawn again is drawn once.
    -#}
mixed_settings as (
    select
        tenant_id,
        popularity_share,
        category_share,
        {{ tenant_setting('negatives_per_positive') }} as negatives_per_positive,
        {{ tenant_setting('seed') }} as seed
    from {{ settings }} as settings
    where {{ has_other_shares() }}
),

item_slots as (
    select
        tenant_id,
        item_id,
        collect_list(
            struct(strategy, category, counts_from, slot_start, added_weight, popularity)
        ) as slots
    from {{ slots }}
    group by tenant_id, item_id
),

{{ line_totals(slots, times, time) }},

{{ mixed_pairs(pairs, carried) }},

{{ category_totals('mixed_pairs', slots, by_category) }},

{{ mixed_positions('counted_pairs', carried) }},

{{ mixed_draws('mixed_positions', carried) }},

{{ mixed_hits('mixed_draws', slots, carried) }},

mixed_negatives as (
    select
        hits.tenant_id,
        hits.user_id,
        hits.item_id,
        hits.positive_item_id,
        hits.draw_index,
        hits.strategy as negative_strategy,
        {{- further(carried, 'hits') }}
        hits.uniform_count as eligible_count,
        {{ popularity_then('item_slots.slots') }} as drawn_popularity,
        case hits.strategy
            when 'category' then hits.strategy_count / cast(hits.eligible_weight as double)
            when 'popularity' then 1 - pow(
                1 - {{ weight_then('item_slots.slots') }} / cast(hits.eligible_weight as double),
                hits.popularity_share
            )
            else
                hits.strategy_count
                / cast(hits.uniform_count - hits.draw_count + hits.strategy_count as double)
        end as sampling_probability,
        hits.positive_time as event_time
    from mixed_hits as hits
    inner join item_slots
        on
            hits.tenant_id = item_slots.tenant_id
            and hits.item_id = item_slots.item_id
)
{%- endmacro %}


{% macro popularity_then(slots) -%}
    {#- The popularity in the positive's hour, from an item's slots. -#}
    array_max(transform({{ popular_slots_then(slots) }}, slot -> slot.popularity))
{%- endmacro %}


{% macro weight_then(slots) -%}
    {#- The weight by popularity in the positive's hour, from an item's slots. -#}
    aggregate({{ popular_slots_then(slots) }}, 0L, (sum, slot) -> sum + slot.added_weight)
{%- endmacro %}


{% macro popular_slots_then(slots) -%}
    filter(
        {{- slots }},
        slot -> slot.strategy = 'popularity' and slot.counts_from <= hits.positive_time
    )
{%- endmacro %}
