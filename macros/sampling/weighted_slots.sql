{% macro weighted_slots(item_weights, category_spans) -%}
    {#-
    CTE `weighted_slots`: where a number drawn for a strategy falls: `item_id` from `lower_bound` to before
    `upper_bound`. What counts at a moment is a prefix: of the popularity the increments of weight in the order of
    time, of a category its spans in the order in which they begin. A `bucket` of numbers is what is looked up
    by; a slot stands in each that it reaches into. A slot that ended (`end_us`) is no hit any more.
    CTE `bucket_widths`: how many numbers a tenant's buckets of popularity have, one slot on average.
    Reads `weight_totals` of `eligible_weights`.
    -#}
bucket_widths as (
    select
        tenant_id,
        greatest(1, sum(increment) div count(*)) as bucket_width
    from {{ item_weights }}
    where increment > 0
    group by tenant_id
),

popularity_slots as (
    select
        weights.tenant_id,
        weights.item_id,
        bucket_widths.bucket_width,
        weights.increment,
        weight_totals.total_weight - weight_totals.added - weights.increment
        + sum(weights.increment) over (
            partition by weights.tenant_id, weights.counts_from
            order by weights.item_id
        ) as lower_bound
    from {{ item_weights }} as weights
    inner join weight_totals
        on
            weights.tenant_id = weight_totals.tenant_id
            and weights.counts_from = weight_totals.moment
    inner join bucket_widths
        on weights.tenant_id = bucket_widths.tenant_id
    where weights.increment > 0
),

category_slots as (
    select
        tenant_id,
        item_id,
        category,
        end_us,
        cast(row_number() over (
            partition by tenant_id, category order by start_us, item_id
        ) as bigint) - 1 as lower_bound
    from {{ category_spans }}
    where start_us is not null
),

weighted_slots as (
    select
        tenant_id,
        'popularity' as strategy,
        '' as category,
        explode(sequence(
            lower_bound div bucket_width, (lower_bound + increment - 1) div bucket_width
        )) as bucket,
        lower_bound,
        lower_bound + increment as upper_bound,
        item_id,
        cast(null as bigint) as end_us
    from popularity_slots
    union all
    select
        tenant_id,
        'category' as strategy,
        category,
        lower_bound as bucket,
        lower_bound,
        lower_bound + 1 as upper_bound,
        item_id,
        end_us
    from category_slots
)
{%- endmacro %}
