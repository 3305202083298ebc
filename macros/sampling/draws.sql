{% macro draws(eligible_counts, settings=none, has_weighted=false) -%}
    {#-
    CTE `draws`: for each positive its weighted draws, if any (`has_weighted`), then k' = min(k, M) distinct
    positions among its M eligible items, every position with probability k'/M; k and M less what was drawn by
    weight. The known items (`is_known` 1) pass through. Systematic
    sampling with integer bounds and a random rotation: draw i lies in [i·M div k', (i+1)·M div k'),
    then all are rotated by one offset. Integers only: with rounded bounds draws repeat, without the
    rotation small M are not uniform. Positions are counted without the weighted draws and then moved behind
    those that come before them.
    -#}
    {%- set taken_count = 'coalesce(array_size(eligible_counts.weighted_draws), 0)' if has_weighted else '0' %}
counted_draws as (
    select
        eligible_counts.*,
        {{ taken_count }} as taken_count,
        eligible_counts.eligible_count - {{ taken_count }} as free_count,
        if(
            eligible_counts.eligible_count - {{ taken_count }} > 0,
            least(
                greatest({{ tenant_setting('negatives_per_positive') }} - {{ taken_count }}, 0),
                eligible_counts.eligible_count - {{ taken_count }}
            ),
            0
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
        pmod(xxhash64(concat_ws('|', draw_key, 'offset')), nullif(free_count, 0)) as draw_offset,
        explode(
            if(is_known = 1, array(0L), sequence(1L, taken_count + draw_count))
        ) as draw_index
    from counted_draws
    where is_known = 1 or taken_count + draw_count > 0
),

draw_bounds as (
    select
        *,
        draw_index - taken_count as free_index,
        ((draw_index - taken_count - 1) * free_count) div nullif(draw_count, 0) as lower_bound,
        ((draw_index - taken_count) * free_count) div nullif(draw_count, 0) as upper_bound
        {%- if has_weighted %},
        if(
            draw_index between 1 and taken_count,
            element_at(weighted_draws, cast(draw_index as int)),
            null
        ) as weighted_draw
        {%- endif %}
    from draw_slots
),

free_positions as (
    select
        *,
        (
            lower_bound
            + pmod(xxhash64(concat_ws('|', draw_key, free_index)), upper_bound - lower_bound)
            + draw_offset
        ) % free_count as free_position
    from draw_bounds
),

draws as (
    select
        tenant_id,
        user_id,
        item_id as positive_item_id,
        positive_time,
        is_known,
        eligible_count,
        free_count,
        draw_count,
        {%- if has_weighted %}
        weighted_draw,
        {%- endif %}
        cast(draw_index as int) as draw_index,
        case
            when is_known = 1 then gap_position
            {%- if has_weighted %}
            when weighted_draw is not null then weighted_draw.eligible_position
            when taken_count > 0 then free_position + {{ taken_before('free_position') }}
            {%- endif %}
            else free_position
        end as position
    from free_positions
)
{%- endmacro %}


{% macro taken_before(position) -%}
    {#- How many of a positive's weighted draws lie before what has a position among the other items. -#}
    array_size(filter(
        transform(
            sort_array(transform(weighted_draws, draw -> draw.eligible_position)),
            (taken, number) -> taken - number
        ),
        gap -> gap <= {{ position }}
    ))
{%- endmacro %}
