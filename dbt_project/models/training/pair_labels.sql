-- one row per user and item that the user wished for or disliked by the cutoff
{{ config(materialized='ephemeral') }}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ known_by_cutoff() }}
),

labelled as (
    select
        interactions.tenant_id,
        interactions.user_id,
        interactions.item_id,
        struct(
            interactions.event_time, interactions.event_id, interactions.interaction_type
        ) as event,
        {{ interaction_strength('interactions.interaction_type') }} as strength,
        array_contains(
            {{ tenant_setting('positive_types') }}, interactions.interaction_type
        ) as is_positive,
        array_contains(
            {{ tenant_setting('negative_types') }}, interactions.interaction_type
        ) as is_negative
    from interactions
    left join {{ ref('stg_tenant_settings') }} as settings
        on interactions.tenant_id = settings.tenant_id
),

pairs as (
    select
        tenant_id,
        user_id,
        item_id,
        min(if(is_positive, event, null)) as positive,
        min(if(is_negative, event, null)) as negative,
        max(if(is_positive, strength, null)) as strongest
    from labelled
    where is_positive or is_negative
    group by tenant_id, user_id, item_id
),

pair_labels as (
    select
        tenant_id,
        user_id,
        item_id,
        positive.event_id as positive_event_id,
        negative.event_id as negative_event_id,
        positive.interaction_type as positive_type,
        negative.interaction_type as negative_type,
        strongest.interaction_type as strongest_type,
        positive.event_time as positive_time,
        negative.event_time as negative_time
    from pairs
)

select * from pair_labels
