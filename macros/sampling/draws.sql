{% macro draws(eligible_counts) -%}
    {#-
    CTE `draws`: for each positive k' = min(k, M) distinct positions among its M eligible items,
    every position with probability k'/M. Systematic sampling with integer bounds and a random
    rotation: draw i lies in [i·M div k', (i+1)·M div k'), then all are rotated by one offset.
    Integers only: with rounded bounds draws repeat, without the rotation small M are not uniform.
    -#}
positives_to_draw as (
    select
        eligible_counts.tenant_id,
        eligible_counts.user_id,
        eligible_counts.item_id as positive_item_id,
        eligible_counts.event_time,
        eligible_counts.eligible_count,
        least(
            {{ tenant_setting('negatives_per_positive') }}, eligible_counts.eligible_count
        ) as draw_count,
        concat_ws(
            '|',
            {{ tenant_setting('seed') }},
            eligible_counts.tenant_id,
            eligible_counts.user_id,
            eligible_counts.item_id
        ) as draw_key
    from {{ eligible_counts }} as eligible_counts
    left join {{ ref('stg_tenant_settings') }} as settings
        on eligible_counts.tenant_id = settings.tenant_id
    where eligible_counts.is_known = 0 and eligible_counts.eligible_count > 0
),

draw_slots as (
    select
        *,
        pmod(xxhash64(concat_ws('|', draw_key, 'offset')), eligible_count) as draw_offset,
        explode(sequence(1, draw_count)) as draw_index
    from positives_to_draw
    where draw_count > 0
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
        positive_item_id,
        event_time,
        eligible_count,
        cast(draw_index as int) as draw_index,
        draw_count / cast(eligible_count as double) as sampling_probability,
        (
            lower_bound
            + pmod(xxhash64(concat_ws('|', draw_key, draw_index)), upper_bound - lower_bound)
            + draw_offset
        ) % eligible_count as eligible_position
    from draw_bounds
)
{%- endmacro %}
