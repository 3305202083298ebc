-- a row is a sampled negative that its user knew before the training rows of that user end
with

held_out as (
    select
        tenant_id,
        user_id,
        min(event_time) as held_out_from
    from {{ ref('evaluation_data') }}
    where split != 'train' and {{ of_evaluated_tenants() }}
    group by tenant_id, user_id
)

select
    negatives.tenant_id,
    negatives.user_id,
    negatives.item_id
from {{ ref('evaluation_data') }} as negatives
inner join {{ ref('evaluation_splits') }} as splits
    on negatives.tenant_id = splits.tenant_id
inner join {{ ref('stg_interactions') }} as interactions
    on
        negatives.tenant_id = interactions.tenant_id
        and negatives.user_id = interactions.user_id
        and negatives.item_id = interactions.item_id
        and {{ known_by_cutoff() }}
left join held_out
    on
        negatives.tenant_id = held_out.tenant_id
        and negatives.user_id = held_out.user_id
where
    {{ of_evaluated_tenants('negatives') }}
    and negatives.negative_type = 'sampled'
    and interactions.event_time < coalesce(
        splits.train_until, held_out.held_out_from, timestamp '9999-12-31'
    )
