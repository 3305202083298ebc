-- a row is a sampled negative whose item was not available yet
{{ config(
    tags=['leak'],
    meta={'trap': 'items that did not exist yet'}
) }}
select
    negatives.tenant_id,
    negatives.user_id,
    negatives.item_id
from {{ ref('sampled_negatives') }} as negatives
inner join {{ ref('item_availability') }} as availability
    on
        negatives.tenant_id = availability.tenant_id
        and negatives.item_id = availability.item_id
where
    availability.available_at > negatives.event_time
    and {{ of_this_runs_tenant('negatives') }}
