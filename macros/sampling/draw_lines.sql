{% macro draw_lines(item_availability, item_hours, catalogue, times, time, has_category) -%}
    {#-
    CTE `line_places`: the items of each line on which negatives are drawn, one behind the other, each as long as it weighs.
    A line is named by tenant, `line` and `period`, the number of a period of the tenant's days in which there are
    positives (from 1):
      u             all items, in the order in which they became available; every one weighs 1; `period` 0
      p             the items available before the period; each weighs round(2^16 · popularity^exponent),
                    popularity being its interactions before the period, at least 1
      c<category>   those of them that the catalogue had in the category before the period; every one weighs 1
    CTE `line_ends`: of the lines of periods the total weight, the number of items, the `longest` one and `bucket_length`, the
    mean weight: a place is looked up by the bucket that it lies in.

    No line knows of its period's own days, so rows of today change no line of today, and late ones those of later
    periods alone. An item's state is kept from one change to the next and only then repeated for the periods in between.
    -#}
needed_periods as (
    select distinct
        times.tenant_id,
        {{ period_of('times.' ~ time) }} as period_start
    from {{ times }} as times
    inner join told_negatives
        on times.tenant_id = told_negatives.tenant_id
),

item_changes as (
    select
        availability.tenant_id,
        availability.item_id,
        {{ period_of('availability.available_at') }} as period_start,
        0L as interaction_count,
        true as is_availability,
        cast(null as struct<valid_from: timestamp, category: string>) as version
    from {{ item_availability }} as availability
    inner join told_negatives
        on availability.tenant_id = told_negatives.tenant_id
    union all
    select
        hours.tenant_id,
        hours.item_id,
        {{ period_of('hours.event_hour') }} as period_start,
        hours.interaction_count,
        false as is_availability,
        null as version
    from {{ item_hours }} as hours
    inner join told_negatives
        on hours.tenant_id = told_negatives.tenant_id
    {%- if has_category %}
    union all
    select
        catalogue.tenant_id,
        catalogue.item_id,
        {{ period_of('catalogue.valid_from') }} as period_start,
        0L as interaction_count,
        false as is_availability,
        struct(catalogue.valid_from, catalogue.category) as version
    from {{ catalogue }} as catalogue
    inner join told_negatives
        on catalogue.tenant_id = told_negatives.tenant_id
    {%- endif %}
),

-- one row per item and period in which something of it changed
changed_items as (
    select
        tenant_id,
        item_id,
        period_start,
        sum(interaction_count) as interaction_count,
        max(is_availability) as is_availability,
        max(version) as version
    from item_changes
    group by tenant_id, item_id, period_start
),

all_periods as (
    select
        tenant_id,
        period_start,
        max(is_needed) as is_needed
    from (
        select
            tenant_id,
            period_start,
            0 as is_needed
        from changed_items
        union all
        select
            tenant_id,
            period_start,
            1 as is_needed
        from needed_periods
    )
    group by tenant_id, period_start
),

-- the needed ones are numbered; what changed in a period counts from the next of these on
line_periods as (
    select
        *,
        sum(is_needed) over (partition by tenant_id order by period_start) as period,
        sum(is_needed) over (partition by tenant_id) as period_count
    from all_periods
),

item_steps as (
    select
        changed_items.tenant_id,
        changed_items.item_id,
        line_periods.period + 1 as first_period,
        line_periods.period_count,
        sum(changed_items.interaction_count) as interaction_count,
        max(changed_items.is_availability) as is_availability,
        max(changed_items.version) as version
    from changed_items
    inner join line_periods
        on
            changed_items.tenant_id = line_periods.tenant_id
            and changed_items.period_start = line_periods.period_start
    group by
        changed_items.tenant_id,
        changed_items.item_id,
        line_periods.period,
        line_periods.period_count
),

item_states as (
    select
        tenant_id,
        item_id,
        sum(interaction_count) over so_far as popularity,
        max(version) over so_far as version,
        greatest(
            first_period,
            max(if(is_availability, first_period, null)) over (partition by tenant_id, item_id)
        ) as from_period,
        coalesce(
            lead(first_period) over (partition by tenant_id, item_id order by first_period),
            period_count + 1
        ) - 1 as to_period
    from item_steps
    window so_far as (
        partition by tenant_id, item_id order by first_period
        rows between unbounded preceding and current row
    )
),

item_lines as (
    select
        tenant_id,
        item_id,
        popularity,
        explode(array('p'{{ ", concat('c', version.category)" if has_category }})) as line,
        from_period,
        to_period
    from item_states
    where from_period <= to_period
),

-- the item's weight is worked out below: what is sent through the shuffle is the same for all that read it
line_items as (
    select
        tenant_id,
        item_id,
        popularity,
        line,
        explode(sequence(from_period, to_period)) as period
    from item_lines
    where line is not null
),

weighted_items as (
    select
        line_items.*,
        if(
            line_items.line = 'p',
            cast(
                round(65536 * pow(greatest(line_items.popularity, 1), told_negatives.exponent))
                as bigint
            ),
            1L
        ) as weight
    from line_items
    inner join told_negatives
        on line_items.tenant_id = told_negatives.tenant_id
),

period_places as (
    select
        *,
        sum(weight) over (
            partition by tenant_id, period, line order by item_id
            rows between unbounded preceding and current row
        ) - weight as place,
        sum(weight) over (partition by tenant_id, period, line) as line_weight,
        count(*) over (partition by tenant_id, period, line) as line_count
    from weighted_items
),

line_places as (
    select
        tenant_id,
        period,
        line,
        item_id,
        place,
        weight,
        popularity,
        greatest(line_weight div line_count, 1L) as bucket_length
    from period_places
    union all
    select
        ranked_items.tenant_id,
        0L as period,
        'u' as line,
        ranked_items.item_id,
        cast(ranked_items.item_rank as bigint) as place,
        1L as weight,
        cast(null as bigint) as popularity,
        1L as bucket_length
    from ranked_items
    inner join told_negatives
        on ranked_items.tenant_id = told_negatives.tenant_id
),

line_ends as (
    select
        tenant_id,
        period,
        line,
        sum(weight) as line_weight,
        count(*) as line_count,
        greatest(sum(weight) div count(*), 1L) as bucket_length,
        max(weight) as longest
    from weighted_items
    group by tenant_id, period, line
)
{%- endmacro %}
