-- a row is a sampled or shown negative whose item was not available yet
{{ config(
    tags=['leak'],
    meta={'trap': 'items that did not exist yet'}
) }}
select
    negatives.tenant_id,
    negatives.user_id,
    negatives.item_id
from {{ ref('training_data') }} as negatives
inner join {{ ref('item_availability') }} as availability
    on
        negatives.tenant_id = availability.tenant_id
        and negatives.item_id = availability.item_id
where
    negatives.negative_type in ('sampled', 'shown')
    and availability.available_at > negatives.event_time
    and {{ of_this_runs_tenant('negatives') }}
