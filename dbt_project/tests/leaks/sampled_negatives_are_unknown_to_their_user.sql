-- a row is a sampled or shown negative whose user knows the item
{{ config(
    tags=['leak'],
    meta={'trap': 'false negatives'}
) }}
select
    negatives.tenant_id,
    negatives.user_id,
    negatives.item_id
from {{ ref('training_data') }} as negatives
left semi join {{ ref('stg_interactions') }} as interactions
    on
        negatives.tenant_id = interactions.tenant_id
        and negatives.user_id = interactions.user_id
        and negatives.item_id = interactions.item_id
        and {{ known_by_cutoff() }}
where
    negatives.negative_type in ('sampled', 'shown')
    and {{ of_this_runs_tenant('negatives') }}
