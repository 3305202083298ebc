{% macro eligible_counts(positives, available_counts, known_ranks) -%}
    {#-
    CTE `eligible_counts`: one row per positive with `eligible_count`, the number of items that
    were available in its hour and that the user does not know. A running count of the user's
    known ranks below the available count: at a tie the query comes first, because a rank equal to
    the count lies beyond the prefix.
    -#}
eligibility_events as (
    select
        tenant_id,
        user_id,
        item_rank as position,
        1 as is_known,
        cast(null as string) as item_id,
        cast(null as timestamp) as event_time
    from {{ known_ranks }}
    union all
    select
        positives.tenant_id,
        positives.user_id,
        counts.available_count as position,
        0 as is_known,
        positives.item_id,
        positives.event_time
    from {{ positives }} as positives
    inner join {{ available_counts }} as counts
        on
            positives.tenant_id = counts.tenant_id
            and positives.event_hour = counts.event_hour
),

eligible_counts as (
    select
        *,
        position - sum(is_known) over (
            partition by tenant_id, user_id
            order by position, is_known
            rows between unbounded preceding and current row
        ) as eligible_count
    from eligibility_events
)
{%- endmacro %}
