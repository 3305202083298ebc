{% macro sampling_slots(scope) -%}
    {#-
    The rows of `sampling_weights` with their place on the line of their strategy and category, `slot_start`, to select
    from in several places. Numbers on a line are looked up by buckets of `bucket_width`, one slot on average.
    -#}
    {%- set line = 'partition by tenant_id, strategy, category' -%}
    {%- set select = "select tenant_id, item_id, strategy, coalesce(category, '') as category, popularity, added_weight, counts_from, "
        ~ 'sum(added_weight) over (' ~ line ~ ' order by counts_from, item_id '
        ~ 'rows between unbounded preceding and current row) - added_weight as slot_start, '
        ~ 'greatest(1, sum(added_weight) over (' ~ line ~ ') div greatest(1, count_if(added_weight > 0) over (' ~ line ~ '))) '
        ~ 'as bucket_width from ' ~ ref('sampling_weights') ~ ' where ' ~ in_tenants(scope) -%}
    {#- a fingerprint (see `logic_of_this_model`) keeps nothing -#}
    {{ return('(' ~ select ~ ')' if graph.get('eta_plain', {}).get(model.name) else keep_rows(scope, 'sampling_slots', select)) }}
{%- endmacro %}


{% macro line_totals(slots, times, time) -%}
    {#-
    CTE `line_totals`: per tenant and hour how long the lines of all items are then. Hours are those of `time` and
    those from which something counts.
    -#}
moments as (
    select
        tenant_id,
        counts_from as event_hour,
        if(strategy = 'uniform', added_weight, 0L) as uniform_weight,
        if(strategy = 'popularity', added_weight, 0L) as popularity_weight,
        if(strategy = 'popularity', bucket_width, 1L) as popularity_width
    from {{ slots }}
    where strategy in ('uniform', 'popularity')
    union all
    select distinct
        times.tenant_id,
        date_trunc('hour', times.{{ time }}) as event_hour,
        0L as uniform_weight,
        0L as popularity_weight,
        1L as popularity_width
    from {{ times }} as times
    inner join mixed_settings
        on times.tenant_id = mixed_settings.tenant_id
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


{% macro category_totals(mixed_pairs, slots, by_category) -%}
    {#-
    CTE `counted_pairs`: the pairs with `category_total`, how many items have been in the category of the
    positive's item by its hour. Without `by_category` null, and nothing is computed.
    -#}
{% if by_category -%}
category_moments as (
    select
        tenant_id,
        category,
        positive_hour as moment,
        0L as added_weight,
        struct(*) as pair,
        -- what has no category is counted nowhere: spread it over the tasks
        if(category is null, pmod(hash(user_id), 1000), 0) as spread
    from {{ mixed_pairs }}
    union all
    select
        tenant_id,
        category,
        counts_from as moment,
        added_weight,
        null as pair,
        0 as spread
    from {{ slots }}
    where strategy = 'category' and added_weight > 0
),

category_counts as (
    select
        pair,
        sum(added_weight) over (
            partition by tenant_id, category, spread
            order by moment
        ) as category_total
    from category_moments
),

counted_pairs as (
    select
        pair.*,
        category_total
    from category_counts
    where pair is not null
)
{%- else -%}
counted_pairs as (
    select
        *,
        cast(null as bigint) as category_total
    from {{ mixed_pairs }}
)
{%- endif %}
{%- endmacro %}
