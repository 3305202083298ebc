{% macro ranked_arrivals(raw_interactions, clickstream=none) -%}
    {#-
    CTE `ranked_arrivals`: one row per raw interaction with its place among the rows of its event
    (`arrival_rank`, the least known_at, batch_id and source_ref first), and whether it says
    something else than the first (`is_conflict`). `clickstream`: rows of `stg_clickstream` that are interactions,
    or none. The same act told in two ways has other details in each, so of two rows of which one is of the
    clickstream user, item and type are compared.
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
        try_cast(rating as decimal(18, 6)) as rating,
        {%- if clickstream %}
        false as is_of_clickstream,
        {%- endif %}
        cast(null as timestamp) as attributed_at,
        event_time,
        known_at
    from {{ raw_interactions }}
    {%- if clickstream %}
    union all
    select
        tenant_id,
        event_id,
        user_id,
        item_id,
        interaction_type,
        cast(null as string) as device_type,
        cast(null as string) as location,
        session_id,
        source,
        batch_id,
        source_ref,
        try_cast(rating as decimal(18, 6)) as rating,
        true as is_of_clickstream,
        attributed_at,
        event_time,
        known_at
    from {{ clickstream }}
    {%- endif %}
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
        {%- if clickstream %}
        first_value(is_of_clickstream) over arrival as is_first_of_clickstream,
        {%- endif %}
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
        {%- if clickstream %}
        if(
            is_of_clickstream or is_first_of_clickstream,
            not struct(user_id, item_id, interaction_type) <=> struct(
                first_payload.user_id, first_payload.item_id, first_payload.interaction_type
            ),
            not payload <=> first_payload
        ) as is_conflict
        {%- else %}
        not payload <=> first_payload as is_conflict
        {%- endif %}
    from arrivals
)
{%- endmacro %}
