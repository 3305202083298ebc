{% macro weighted_tries(known_pairs, settings) -%}
    {#-
    CTE `weighted_tries`: the numbers drawn for each positive, `number` of [0, size): of a strategy as many, in an
    order, as make it unlikely (one in a million) that too few fall on eligible items, at most 64. Each is a
    hash of seed, tenant, user, item, strategy and `try_number`. Category comes first. Its last draw is from
    what the draws before it have left (`last_eligible`).
    Reads `eligible_weights`, `category_counts` and `bucket_widths`.
    -#}
weighted_positives as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id as positive_item_id,
        pairs.positive_time,
        eligible_weights.eligible_weight,
        category_counts.eligible_count as category_count,
        concat_ws(
            '|', {{ tenant_setting('seed') }}, pairs.tenant_id, pairs.user_id, pairs.item_id
        ) as draw_key,
        array(
            struct(
                1 as priority,
                'category' as strategy,
                category_counts.category,
                settings.category_share as share,
                category_counts.started_count as size,
                category_counts.eligible_count as eligible,
                category_counts.eligible_count + 1
                - least(settings.category_share, category_counts.eligible_count) as last_eligible,
                1L as bucket_width
            ),
            struct(
                2 as priority,
                'popularity' as strategy,
                '' as category,
                settings.popularity_share as share,
                eligible_weights.total_weight as size,
                eligible_weights.eligible_weight as eligible,
                eligible_weights.eligible_weight as last_eligible,
                bucket_widths.bucket_width
            )
        ) as strategies
    from {{ known_pairs }} as pairs
    inner join {{ settings }} as settings
        on pairs.tenant_id = settings.tenant_id
    left join bucket_widths
        on pairs.tenant_id = bucket_widths.tenant_id
    left join eligible_weights
        on
            pairs.tenant_id = eligible_weights.tenant_id
            and pairs.user_id = eligible_weights.user_id
            and date_trunc('hour', pairs.positive_time) = eligible_weights.event_hour
    left join category_counts
        on
            pairs.tenant_id = category_counts.tenant_id
            and pairs.user_id = category_counts.user_id
            and pairs.item_id = category_counts.item_id
    where pairs.positive_time is not null
),

weighted_strategies as (
    select
        * except (strategies),
        explode(filter(
            strategies, strategy -> strategy.share > 0 and strategy.eligible > 0
        )) as drawn_by
    from weighted_positives
),

numbered_tries as (
    select
        *,
        explode(sequence(1, cast(least(64, coalesce(
            drawn_by.share * ceil(
                ln(1e-6d)
                / nullif(ln(greatest(1 - drawn_by.last_eligible / drawn_by.size, 1e-6d)), 0)
            ) + 4 * (drawn_by.share - 1),
            64
        )) as int))) as try_number
    from weighted_strategies
),

weighted_tries as (
    select
        *,
        pmod(
            xxhash64(concat_ws('|', draw_key, drawn_by.strategy, try_number)), drawn_by.size
        ) as number
    from numbered_tries
)
{%- endmacro %}
