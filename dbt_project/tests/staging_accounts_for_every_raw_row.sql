-- a row is a batch of which staging kept or set apart more rows than raw has
select
    tenant_id,
    batch_id
from {{ ref('staging_counts') }}
where
    duplicate_count < 0
    and {{ of_this_runs_tenant() }}
