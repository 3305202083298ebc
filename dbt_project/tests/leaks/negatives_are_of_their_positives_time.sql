-- a row is a sampled or shown negative of another time, user features or context than its positive
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'negatives described at another time than their positive, or with features missing on one label only'}
) }}
with

examples as (
    select
        tenant_id,
        user_id,
        anchor_item_id,
        negative_type,
        event_time,
        struct(
            user_total_interactions,
            user_unique_items,
            user_unique_categories,
            user_avg_rating,
            user_interactions_1d,
            user_interactions_7d,
            user_interactions_30d
        ) as user_features,
        struct(
            context_device_type,
            context_location,
            context_hour,
            context_weekday,
            context_session_position
        ) as context
    from {{ ref('training_examples') }}
    where {{ of_this_runs_tenant() }}
)

select
    negatives.tenant_id,
    negatives.event_time
from examples as negatives
left join examples as positives
    on
        negatives.tenant_id = positives.tenant_id
        and negatives.user_id = positives.user_id
        and negatives.anchor_item_id = positives.anchor_item_id
        and positives.negative_type is null
where
    negatives.negative_type in ('sampled', 'shown')
    and not (
        negatives.event_time <=> positives.event_time
        and negatives.user_features <=> positives.user_features
        and negatives.context <=> positives.context
    )
