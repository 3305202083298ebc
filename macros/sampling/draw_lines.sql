{% macro draw_lines(settings, item_availability, item_hours, catalogue, times, has_category) -%}
    {#-
    A statement, to be kept while it is read: the items of each line on which negatives are drawn, one behind the other, each
    as long as it weighs (`weight`, from `place` on). A line is named by tenant, `line` and `period`, the first day (since
    1970) of a period of the tenant's days that has interactions:
      u             all items, in the order in which they became available; every one weighs 1; `period` null
      p             the items available before the period; each weighs round(2^16 · popularity^exponent),
                    popularity being its interactions before the period, at least 1
      c<category>   those of them that the catalogue had in the category before the period; every one weighs 1
    Each row has of its line the `line_weight`, the `line_count`, the `longest` item and `bucket_length`, the mean weight:
    a place is looked up by the bucket that it lies in.

      settings            one row per tenant; the lines are those of tenants that say how negatives are drawn
      times               rows with `event_time`, among which that of each positive is: their periods have lines

    No line knows of its period's own days, so rows of today change no line of today, and late ones those of later
    periods alone. An item's state is kept from one change to the next and only then repeated for the periods in between.
    -#}
with

{{ told_of_negatives(settings) }},

-- numbered from 1 on
needed_periods as (
    select
        tenant_id,
        period_start,
        row_number() over (partition by tenant_id order by period_start) as number
    from (
        select distinct
            times.tenant_id,
            {{ period_of('times.event_time') }} as period_start
        from {{ times }} as times
        inner join told_negatives
            on times.tenant_id = told_negatives.tenant_id
    )
),

dated_changes as (
    select
        tenant_id,
        item_id,
        available_at as changed_at,
        0L as interaction_count,
        true as is_availability,
        cast(null as struct<valid_from: timestamp, category: string>) as version
    from {{ item_availability }}
    union all
    select
        tenant_id,
        item_id,
        event_hour as changed_at,
        interaction_count,
        false as is_availability,
        null as version
    from {{ item_hours }}
    {%- if has_category %}
    union all
    select
        tenant_id,
        item_id,
        valid_from as changed_at,
        0L as interaction_count,
        false as is_availability,
        struct(valid_from, category) as version
    from {{ catalogue }}
    {%- endif %}
),

item_changes as (
    select
        dated_changes.*,
        {{ period_of('dated_changes.changed_at') }} as period_start
    from dated_changes
    inner join told_negatives
        on dated_changes.tenant_id = told_negatives.tenant_id
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

-- what changed in a period counts from the next needed one on
line_periods as (
    select
        *,
        sum(is_needed) over (partition by tenant_id order by period_start) as number,
        sum(is_needed) over (partition by tenant_id) as period_count
    from all_periods
),

item_steps as (
    select
        changed_items.tenant_id,
        changed_items.item_id,
        line_periods.number + 1 as first_number,
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
        line_periods.number,
        line_periods.period_count
),

item_states as (
    select
        tenant_id,
        item_id,
        sum(interaction_count) over so_far as popularity,
        max(version) over so_far as version,
        first_number,
        max(if(is_availability, first_number, null)) over (
            partition by tenant_id, item_id
        ) as available_number,
        coalesce(
            lead(first_number) over (partition by tenant_id, item_id order by first_number),
            period_count + 1
        ) - 1 as to_number
    from item_steps
    window so_far as (
        partition by tenant_id, item_id order by first_number
        rows between unbounded preceding and current row
    )
),

item_lines as (
    select
        tenant_id,
        item_id,
        popularity,
        explode(array('p'{{ ", concat('c', version.category)" if has_category }})) as line,
        greatest(first_number, available_number) as from_number,
        to_number
    from item_states
    -- an item that never was available is on no line
    where first_number <= to_number and available_number <= to_number
),

line_items as (
    select
        tenant_id,
        item_id,
        popularity,
        line,
        explode(sequence(from_number, to_number)) as number
    from item_lines
    where line is not null
),

weighted_items as (
    select
        line_items.tenant_id,
        line_items.item_id,
        line_items.popularity,
        line_items.line,
        needed_periods.period_start as period,
        if(
            line_items.line = 'p',
            cast(
                round(65536 * pow(greatest(line_items.popularity, 1), told_negatives.exponent))
                as bigint
            ),
            1L
        ) as weight
    from line_items
    inner join needed_periods
        on
            line_items.tenant_id = needed_periods.tenant_id
            and line_items.number = needed_periods.number
    inner join told_negatives
        on line_items.tenant_id = told_negatives.tenant_id
),

placed_items as (
    select
        tenant_id,
        period,
        line,
        item_id,
        popularity,
        weight,
        -weight + sum(weight) over so_far as place,
        sum(weight) over whole as line_weight,
        count(*) over whole as line_count,
        max(weight) over whole as longest
    from weighted_items
    window
        so_far as (
            partition by tenant_id, period, line order by item_id
            rows between unbounded preceding and current row
        ),
        whole as (partition by tenant_id, period, line)
),

line_places as (
    select
        *,
        greatest(line_weight div line_count, 1L) as bucket_length
    from placed_items
    union all
    select
        availability.tenant_id,
        cast(null as int) as period,
        'u' as line,
        availability.item_id,
        cast(null as bigint) as popularity,
        1L as weight,
        row_number() over (
            partition by availability.tenant_id
            order by availability.available_at, availability.item_id
        ) - 1L as place,
        cast(null as bigint) as line_weight,
        cast(null as bigint) as line_count,
        1L as longest,
        1L as bucket_length
    from {{ item_availability }} as availability
    inner join told_negatives
        on availability.tenant_id = told_negatives.tenant_id
)

select * from line_places
{%- endmacro %}
