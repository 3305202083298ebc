{% macro draws(eligible_counts, settings=none, carried=[], in_turn=none) -%}
    {#-
    CTE `draws`: for each positive k' = min(k, M) distinct positions among its M eligible items,
    every position with probability k'/M; the known items (`is_known` 1) pass through. Systematic
    sampling with integer bounds and a random rotation: draw i lies in [i·M div k', (i+1)·M div k'),
    then all are rotated by one offset. Integers only: with rounded bounds draws repeat, without the
    rotation small M are not uniform. `carried`: see `sampled_negatives`.

    Where `in_turn`, a condition, holds, draw i is any of the M - i + 1 that are left, each as likely: the rest stays
    uniform when some are passed over, which of systematic draws it would not.
    -#}
counted_draws as (
    select
        eligible_counts.*,
        if(
            eligible_counts.eligible_count > 0,
            least({{ tenant_setting('negatives_per_positive') }}, eligible_counts.eligible_count),
            null
        ) as draw_count,
        concat_ws(
            '|',
            {{ tenant_setting('seed') }},
            eligible_counts.tenant_id,
            eligible_counts.user_id,
            eligible_counts.item_id
        ) as draw_key
    from {{ eligible_counts }} as eligible_counts
    left join {{ settings or ref('stg_tenant_settings') }} as settings
        on eligible_counts.tenant_id = settings.tenant_id
),

draw_slots as (
    select
        *,
        pmod(xxhash64(concat_ws('|', draw_key, 'offset')), nullif(eligible_count, 0)) as draw_offset,
        explode(if(is_known = 1, array(0L), sequence(1L, draw_count))) as draw_index
    from counted_draws
    where is_known = 1 or draw_count > 0
),

draw_bounds as (
    select
        *,
        ((draw_index - 1) * eligible_count) div draw_count as lower_bound,
        (draw_index * eligible_count) div draw_count as upper_bound
    from draw_slots
),

draws as (
    select
        tenant_id,
        user_id,
        item_id as positive_item_id,
        positive_time,
        {{- further(carried) }}
        is_known,
        eligible_count,
        draw_count,
        cast(draw_index as int) as draw_index,
        case
            when is_known = 1 then gap_position
            {%- if in_turn %}
            when {{ in_turn }} then {{ position_in_turn() }}
            {%- endif %}
            else (
                lower_bound
                + pmod(xxhash64(concat_ws('|', draw_key, draw_index)), upper_bound - lower_bound)
                + draw_offset
            ) % eligible_count
        end as position
    from draw_bounds
)
{%- endmacro %}


{% macro position_in_turn() -%}
    {#- Number i is a hash below what is left, counted along what was not drawn before it. -#}
    element_at(
        aggregate(
            sequence(1L, draw_index),
            cast(array() as array<bigint>),
            (drawn, number) -> concat(drawn, array(aggregate(
                array_sort(drawn),
                pmod(xxhash64(concat_ws('|', draw_key, number)), eligible_count - number + 1),
                (position, earlier) -> position + if(earlier <= position, 1L, 0L)
            )))
        ),
        -1
    )
{%- endmacro %}
