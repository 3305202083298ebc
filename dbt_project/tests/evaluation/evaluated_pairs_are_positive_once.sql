-- a row is a pair to be predicted that is trained on, or a negative that was drawn twice
select
    tenant_id,
    user_id,
    item_id,
    if(label = 1, null, anchor_item_id) as drawn_for
from {{ ref('evaluation_data') }}
where (label = 1 or negative_type = 'sampled') and {{ of_evaluated_tenants() }}
group by tenant_id, user_id, item_id, if(label = 1, null, anchor_item_id)
having count(*) > 1
