-- a row is a batch whose raw rows are not all kept, duplicate or in conflict
select
    tenant_id,
    batch_id
from {{ ref('staging_counts') }}
where
    raw_count != staged_count + duplicate_count + conflict_count
    and {{ of_this_runs_tenant() }}
