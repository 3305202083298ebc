{% macro sampling_ranks(pairs, carried=[]) -%}
    {#-
    CTE `eligible_counts`: one row per known item of a user (`is_known` 1) with its gap position, and
    one per positive (`is_known` 0) with `eligible_count`, the number of items that were available in
    its hour and that the user does not know. At a tie the positive comes first, because a rank equal
    to the count lies beyond the prefix. `carried`: see `sampled_negatives`.
    -#}
placed_pairs as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.positive_time,
        {{- further(carried, 'pairs') }}
        ranked_items.item_rank,
        available_counts.available_count
    from {{ pairs }} as pairs
    left join ranked_items
        on
            pairs.tenant_id = ranked_items.tenant_id
            and pairs.item_id = ranked_items.item_id
    left join available_counts
        on
            pairs.tenant_id = available_counts.tenant_id
            and {{ hour_of_positive('pairs') }} = available_counts.event_hour
),

positions as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        explode(array(
            struct(cast(item_rank as bigint) as position, 1 as is_known),
            struct(cast(available_count as bigint) as position, 0 as is_known)
        )) as place
    from placed_pairs
),

counted_positions as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        place.is_known,
        place.position - sum(place.is_known) over (
            partition by tenant_id, user_id
            order by place.position, place.is_known
            rows between unbounded preceding and current row
        ) as unknown_count
    from positions
    -- an item that is in no order of availability, and a pair without a positive
    where place.position is not null
),

eligible_counts as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        is_known,
        if(is_known = 1, unknown_count + 1, null) as gap_position,
        if(is_known = 0, unknown_count, null) as eligible_count
    from counted_positions
)
{%- endmacro %}


{% macro hour_of_positive(pairs) -%}
    {#-
    The hour of a pair's positive. A pair without one gets a time that is no hour's: so many nulls would all go to
    one task.
    -#}
    coalesce(
        date_trunc('hour', {{ pairs }}.positive_time),
        timestamp_seconds(1 + 3600 * pmod(hash({{ pairs }}.user_id), 100000))
    )
{%- endmacro %}


{% macro further(columns, relation=none) -%}
    {#- Columns (of `relation`) in the middle of a select list; nothing for none. -#}
    {%- for column in columns %}
        {{ relation ~ '.' if relation }}{{ column }},
    {%- endfor -%}
{%- endmacro %}
