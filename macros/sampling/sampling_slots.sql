{% macro sampling_slots(scope) -%}
    {#-
    The rows of `sampling_weights` with their place on the line of their strategy and category, `slot_start`, and the
    hour of the item's next row, `counts_until`, to select from in several places. Places on a line are looked up by
    pieces of `piece_width`, as many as the line has slots.
    -#}
    {%- set select -%}
    select
        tenant_id,
        item_id,
        strategy,
        coalesce(category, '') as category,
        popularity,
        added_weight,
        counts_from,
        lead(counts_from, 1, timestamp '9999-12-31 00:00:00') over (
            partition by tenant_id, item_id, strategy order by counts_from
        ) as counts_until,
        sum(added_weight) over (
            partition by tenant_id, strategy, category
            order by counts_from, item_id
            rows between unbounded preceding and current row
        ) - added_weight as slot_start,
        greatest(
            1,
            sum(added_weight) over (partition by tenant_id, strategy, category)
            div greatest(
                1,
                count_if(added_weight > 0) over (partition by tenant_id, strategy, category)
            )
        ) as piece_width
    from {{ ref('sampling_weights') }}
    where {{ in_tenants(scope) }}
    {%- endset -%}
    {{ return(kept_for_shares(scope, 'sampling_slots', select)) }}
{%- endmacro %}


{% macro kept_for_shares(scope, name, select) -%}
    {#-
    `keep_rows`, of a statement on kept rows; a fingerprint (see `logic_of_this_model`) keeps nothing. The view holds its
    analyzed plan: Spark would analyze the text again for each time it is named, and that of the views in it.
    -#}
    {%- if not is_run() or graph.get('eta_plain', {}).get(model.name) -%}
        {{ return('(' ~ select ~ ')') }}
    {%- endif -%}
    {%- do run_query('set spark.sql.legacy.storeAnalyzedPlanForView = true') -%}
    {%- set view = keep_rows(scope, name, select) -%}
    {%- do run_query('reset spark.sql.legacy.storeAnalyzedPlanForView') -%}
    {{ return(view) }}
{%- endmacro %}


{% macro line_pieces(slots) -%}
    {#- CTE `line_pieces`: one row per slot and piece of its line that it touches, at most twice the slots. -#}
line_pieces as (
    select
        tenant_id,
        strategy,
        category,
        item_id,
        slot_start,
        slot_start + added_weight as slot_end,
        explode(sequence(
            slot_start div piece_width, (slot_start + added_weight - 1) div piece_width
        )) as piece
    from {{ slots }}
    where added_weight > 0
)
{%- endmacro %}


{% macro line_totals(slots, pairs) -%}
    {#-
    CTE `line_totals`: per tenant and hour how long the lines of all items are then. Hours are those of positives and
    those from which something counts.
    -#}
moments as (
    select
        tenant_id,
        counts_from as event_hour,
        if(strategy = 'uniform', added_weight, 0L) as uniform_weight,
        if(strategy = 'popularity', added_weight, 0L) as popularity_weight,
        if(strategy = 'popularity', piece_width, 1L) as popularity_width
    from {{ slots }}
    where strategy in ('uniform', 'popularity')
    union all
    select distinct
        tenant_id,
        date_trunc('hour', positive_time) as event_hour,
        0L as uniform_weight,
        0L as popularity_weight,
        1L as popularity_width
    from {{ pairs }}
    where positive_time is not null
),

moment_totals as (
    select
        tenant_id,
        event_hour,
        sum(uniform_weight) as uniform_weight,
        sum(popularity_weight) as popularity_weight,
        max(popularity_width) as popularity_width
    from moments
    group by tenant_id, event_hour
),

line_totals as (
    select
        tenant_id,
        event_hour,
        sum(uniform_weight) over so_far as uniform_total,
        sum(popularity_weight) over so_far as popularity_total,
        max(popularity_width) over (partition by tenant_id) as popularity_width
    from moment_totals
    window so_far as (partition by tenant_id order by event_hour)
)
{%- endmacro %}


{% macro category_totals(slots, pairs) -%}
    {#-
    CTE `item_categories`: from when to when an item was of a category. CTE `category_totals`: per category and hour how
    many items have been in it by then; hours are those of positives of its items and those from which one counts.
    -#}
item_categories as (
    select
        tenant_id,
        item_id,
        category,
        counts_from,
        counts_until
    from {{ slots }}
    where strategy = 'category' and category <> ''
),

category_moments as (
    select
        tenant_id,
        category,
        counts_from as event_hour,
        added_weight
    from {{ slots }}
    where strategy = 'category' and added_weight > 0
    union all
    select distinct
        pairs.tenant_id,
        item_categories.category,
        date_trunc('hour', pairs.positive_time) as event_hour,
        0L as added_weight
    from {{ pairs }} as pairs
    inner join item_categories
        on
            pairs.tenant_id = item_categories.tenant_id
            and pairs.item_id = item_categories.item_id
            and pairs.positive_time >= item_categories.counts_from
            and pairs.positive_time < item_categories.counts_until
),

category_moment_totals as (
    select
        tenant_id,
        category,
        event_hour,
        sum(added_weight) as added_weight
    from category_moments
    group by tenant_id, category, event_hour
),

category_totals as (
    select
        tenant_id,
        category,
        event_hour,
        sum(added_weight) over (
            partition by tenant_id, category order by event_hour
        ) as category_total
    from category_moment_totals
)
{%- endmacro %}
