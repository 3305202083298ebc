{% macro earlier_counts(interactions) -%}
    {#-
    CTE `earlier_counts`: per user and time of an interaction, how many were strictly before it and by then
    known to be the user's.
    -#}
earlier_moments as (
    select
        tenant_id,
        user_id,
        explode(
            array(
                struct(event_time as moment, 0 as known_count, true as is_event),
                struct(
                    coalesce(attributed_at, event_time) as moment,
                    1 as known_count,
                    false as is_event
                )
            )
        ) as one
    from {{ interactions }}
),

earlier_sums as (
    select
        tenant_id,
        user_id,
        one.is_event,
        one.moment as event_time,
        coalesce(
            sum(one.known_count) over (
                partition by tenant_id, user_id
                order by one.moment
                range between unbounded preceding and interval 1 microsecond preceding
            ),
            0
        ) as earlier_count
    from earlier_moments
),

earlier_counts as (
    select distinct
        tenant_id,
        user_id,
        event_time,
        earlier_count
    from earlier_sums
    where is_event
)
{%- endmacro %}
