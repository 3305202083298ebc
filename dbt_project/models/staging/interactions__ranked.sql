-- one row per raw interaction, ranked among the rows of its event
{{ config(materialized='ephemeral') }}
with

raw_interactions as (
    select * from {{ source('raw', 'interactions') }}
),

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
    from raw_interactions
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

interactions__ranked as (
    select
        tenant_id,
        event_id,
        user_id,
        item_id,
        interaction_type,
        device_type,
        location,
        session_id,
        source,
        batch_id,
        source_ref,
        rating,
        event_time,
        known_at,
        arrival_rank,
        not payload <=> first_payload as is_conflict
    from arrivals
)

select * from interactions__ranked
