{% macro ranked_arrivals(raw_interactions) -%}
    {#-
    CTE `ranked_arrivals`: one row per raw interaction with its place among the rows of its event
    (`arrival_rank`, the least known_at, batch_id and source_ref first), and whether it says
    something else than the first (`is_conflict`).
    -#}
named as (
    select
        tenant_id,
        event_id,
        user_id,
        item_id,
        interaction_type,
        context.device_type,
        context.location,
        context.session_id,
        source,
        batch_id,
        source_ref,
        cast(rating as decimal(18, 6)) as rating,
        event_time,
        known_at
    from {{ raw_interactions }}
),

with_payload as (
    select
        *,
        struct(
            user_id,
            item_id,
            interaction_type,
            event_time,
            rating,
            device_type,
            location,
            session_id
        ) as payload
    from named
),

arrivals as (
    select
        *,
        row_number() over arrival as arrival_rank,
        first_value(payload) over arrival as first_payload
    from with_payload
    window arrival as (
        partition by tenant_id, event_id
        order by known_at, batch_id, source_ref
    )
),

ranked_arrivals as (
    select
        * except (payload, first_payload),
        not payload <=> first_payload as is_conflict
    from arrivals
)
{%- endmacro %}
