{% macro mixed_draws(pairs, slots, settings, by_category, carried=[]) -%}
    {#-
    A statement: for each positive of a tenant with shares as many draws as it wants negatives, and for each known item of a
    user a row with `draw_index` 0. A draw is a place on the line of its strategy, anywhere on what counts in the positive's
    hour (`line_total` long). It `is_passed_over` if the user knows the item or the positive drew it before;
    then its positive `has_gap`. The arguments are those of `mixed_negatives`.

    The number of each strategy is that of the shares, but what has an empty line is left to the next: category, popularity,
    uniform.
    -#}
with

{{ sampling_settings(settings) }},

{{ line_pieces(slots) }},

{{ line_totals(slots, pairs) }},

{% if by_category -%}
{{ category_totals(slots, pairs) }},

{% endif -%}
mixed_pairs as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.positive_time,
        {{- further(carried, 'pairs') }}
        settings.negatives_per_positive,
        settings.popularity_share,
        settings.category_share,
        settings.seed,
        line_totals.uniform_total,
        line_totals.popularity_total,
        line_totals.popularity_width,
        {%- if by_category %}
        item_categories.category,
        category_totals.category_total
        {%- else %}
        '' as category,
        0L as category_total
        {%- endif %}
    from {{ pairs }} as pairs
    inner join sampling_settings as settings
        on pairs.tenant_id = settings.tenant_id
    left join line_totals
        on
            pairs.tenant_id = line_totals.tenant_id
            and {{ hour_or_none('pairs') }} = line_totals.event_hour
    {%- if by_category %}
    left join item_categories
        on
            pairs.tenant_id = item_categories.tenant_id
            and pairs.item_id = item_categories.item_id
            and pairs.positive_time >= item_categories.counts_from
            and pairs.positive_time < item_categories.counts_until
    left join category_totals
        on
            pairs.tenant_id = category_totals.tenant_id
            and item_categories.category = category_totals.category
            and {{ hour_or_none('pairs') }} = category_totals.event_hour
    {%- endif %}
),

counted_pairs as (
    select
        *,
        if(category_total > 0, category_share, 0) as category_count,
        popularity_share
        + if(popularity_share > 0 and coalesce(category_total, 0) = 0, category_share, 0)
        as popularity_count
    from mixed_pairs
),

numbered_draws as (
    select
        *,
        explode(sequence(
            0, if(coalesce(uniform_total, 0) > 0, negatives_per_positive, 0)
        )) as draw_index
    from counted_pairs
),

named_draws as (
    select
        *,
        case
            when draw_index = 0 then null
            when draw_index <= category_count then 'category'
            when draw_index <= category_count + popularity_count then 'popularity'
            else 'uniform'
        end as strategy
    from numbered_draws
),

measured_draws as (
    select
        *,
        case strategy
            when 'category' then category_total
            when 'popularity' then popularity_total
            when 'uniform' then uniform_total
        end as line_total,
        if(strategy = 'popularity', popularity_width, 1L) as piece_width,
        if(strategy = 'category', category, '') as line_category
    from named_draws
),

placed_draws as (
    select
        *,
        {{ place_on_line(['tenant_id', 'user_id', 'item_id', 'strategy', 'draw_index']) }} as place
    from measured_draws
),

hits as (
    -- in whole users, for both windows
    select
        /*+ repartition(tenant_id, user_id) */
        draws.tenant_id,
        draws.user_id,
        coalesce(pieces.item_id, draws.item_id) as item_id,
        draws.item_id as positive_item_id,
        draws.positive_time,
        {{- further(carried, 'draws') }}
        draws.draw_index,
        draws.strategy,
        draws.line_category as category,
        draws.line_total,
        draws.piece_width
    from placed_draws as draws
    left join line_pieces as pieces
        on
            draws.tenant_id = pieces.tenant_id
            and draws.strategy = pieces.strategy
            and draws.line_category = pieces.category
            -- known items have none, and are not to go to one task
            and coalesce(draws.place div draws.piece_width, hash(draws.user_id)) = pieces.piece
            and draws.place >= pieces.slot_start
            and draws.place < pieces.slot_end
),

compared_hits as (
    select
        *,
        draw_index > 0
        and (
            first_value(draw_index) over of_item = 0
            or lag(positive_item_id) over of_item <=> positive_item_id
        ) as is_passed_over
    from hits
    window of_item as (
        partition by tenant_id, user_id, item_id
        order by least(draw_index, 1), positive_item_id, draw_index
    )
),

mixed_draws as (
    select
        *,
        max(is_passed_over) over (partition by tenant_id, user_id, positive_item_id) as has_gap
    from compared_hits
)

select * from mixed_draws
{%- endmacro %}


{% macro place_on_line(key) -%}
    {#- A whole number below `line_total`, by the hash of the tenant's seed and the key. -#}
    pmod(xxhash64(concat_ws('|', seed, {{ key | join(', ') }})), line_total)
{%- endmacro %}


{% macro hour_or_none(pairs) -%}
    {#- The hour of the positive; what has no time gets one that is no hour's: so many nulls would all go to one task. -#}
    coalesce(
        date_trunc('hour', {{ pairs }}.positive_time),
        timestamp_seconds(1 + 3600 * pmod(hash({{ pairs }}.user_id), 100000))
    )
{%- endmacro %}
