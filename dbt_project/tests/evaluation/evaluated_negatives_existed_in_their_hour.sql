-- a row is a sampled negative whose item training did not know yet, or does not know at all
select
    negatives.tenant_id,
    negatives.user_id,
    negatives.item_id
from {{ ref('evaluation_data') }} as negatives
left join {{ ref('evaluation_items') }} as known
    on
        negatives.tenant_id = known.tenant_id
        and negatives.item_id = known.item_id
where
    {{ of_evaluated_tenants('negatives') }}
    and negatives.negative_type = 'sampled'
    and not coalesce(known.is_frequent and known.train_available_at <= negatives.event_time, false)
