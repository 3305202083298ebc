{% macro mixed_draws(positions, carried=[]) -%}
    {#-
    CTE `mixed_draws`: the places on the lines that are drawn for each positive, in an order. In a run of uniform draws
    number i is a hash below what is left, counted along what was not drawn before.
    -#}
draw_counts as (
    select
        *,
        case
            when is_known = 1 then 0
            when strategy = 'uniform' then least(negatives_per_positive, eligible_weight)
            when strategy = 'category' then least(category_share, eligible_weight)
            when eligible_weight > 0 then popularity_share
            else 0
        end as draw_count,
        concat_ws('|', seed, tenant_id, user_id, item_id, strategy) as draw_key
    from {{ positions }}
),

drawn_positions as (
    select
        * except (position),
        posexplode(
            case
                when is_known = 1 then array(position)
                when strategy = 'popularity' then transform(
                    sequence(1L, draw_count),
                    number -> pmod(xxhash64(concat_ws('|', draw_key, number)), eligible_weight)
                )
                else aggregate(
                    sequence(1L, draw_count),
                    cast(array() as array<bigint>),
                    (drawn, number) -> concat(drawn, array(aggregate(
                        array_sort(drawn),
                        pmod(xxhash64(concat_ws('|', draw_key, number)), eligible_weight - number + 1),
                        (position, earlier) -> position + if(earlier <= position, 1L, 0L)
                    )))
                )
            end
        ) as (draw_number, position)
    from draw_counts
    where is_known = 1 or draw_count > 0
),

line_places as (
    select
        *,
        position + sum(weight) over (
            partition by tenant_id, user_id, strategy, category
            order by position, is_known desc
            rows between unbounded preceding and current row
        ) as line_position
    from drawn_positions
),

mixed_draws as (
    select
        tenant_id,
        user_id,
        item_id as positive_item_id,
        positive_time,
        {{- further(carried) }}
        popularity_share,
        negatives_per_positive,
        strategy,
        category,
        eligible_weight,
        draw_number,
        line_position,
        line_position div if(strategy = 'popularity', popularity_width, 1) as bucket
    from line_places
    where is_known = 0
)
{%- endmacro %}
