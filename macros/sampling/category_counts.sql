{% macro category_counts(known_pairs, category_spans) -%}
    {#-
    CTE `category_counts`: one row per positive whose item was in a category then: the `category`, how many spans
    of it had begun (`started_count`), and of how many the item was available, still in it, and unknown to the
    user (`eligible_count`). Two running counts, over the spans of the user's known items and over all.
    -#}
known_marks as (
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.positive_time,
        spans.category,
        explode(array(
            struct(spans.start_us as at_us, 1 as known_change, false as is_positive),
            struct(
                if(spans.start_us is null, null, spans.end_us) as at_us,
                -1 as known_change,
                false as is_positive
            ),
            struct(
                if(
                    unix_micros(pairs.positive_time) >= spans.in_force_us
                    and not coalesce(unix_micros(pairs.positive_time) >= spans.end_us, false),
                    unix_micros(pairs.positive_time),
                    null
                ) as at_us,
                0 as known_change,
                true as is_positive
            )
        )) as mark
    from {{ known_pairs }} as pairs
    inner join {{ category_spans }} as spans
        on
            pairs.tenant_id = spans.tenant_id
            and pairs.item_id = spans.item_id
),

known_counts as (
    select
        *,
        sum(mark.known_change) over (
            partition by tenant_id, user_id, category order by mark.at_us
        ) as known_count
    from known_marks
    where mark.at_us is not null
),

category_marks as (
    select
        tenant_id,
        category,
        cast(null as string) as user_id,
        cast(null as string) as item_id,
        cast(null as timestamp) as positive_time,
        cast(null as bigint) as known_count,
        explode(array(
            struct(start_us as at_us, 1 as started, 0 as ended),
            struct(end_us as at_us, 0 as started, 1 as ended)
        )) as mark
    from {{ category_spans }}
    where start_us is not null
    union all
    select
        tenant_id,
        category,
        user_id,
        item_id,
        positive_time,
        known_count,
        struct(mark.at_us as at_us, 0 as started, 0 as ended) as mark
    from known_counts
    where mark.is_positive
),

counted_marks as (
    select
        *,
        sum(mark.started) over (
            partition by tenant_id, category order by mark.at_us
        ) as started_count,
        sum(mark.ended) over (
            partition by tenant_id, category order by mark.at_us
        ) as ended_count
    from category_marks
    where mark.at_us is not null
),

category_counts as (
    select
        tenant_id,
        user_id,
        item_id,
        category,
        started_count,
        started_count - ended_count - known_count as eligible_count
    from counted_marks
    where user_id is not null
)
{%- endmacro %}
