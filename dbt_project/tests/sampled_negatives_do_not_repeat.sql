-- a row is an item drawn twice for one positive
select
    tenant_id,
    user_id,
    positive_item_id,
    item_id
from {{ ref('sampled_negatives') }}
where {{ of_this_runs_tenant() }}
group by tenant_id, user_id, positive_item_id, item_id
having count(*) > 1
