-- a row is an example whose user features count other interactions than those before its event
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'features joined at their current value, or at the event instead of before it'}
) }}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
),

{{ earlier_counts('interactions') }}

select
    examples.tenant_id,
    examples.draw_index
from {{ ref('training_examples') }} as examples
left join earlier_counts
    on
        examples.tenant_id = earlier_counts.tenant_id
        and examples.user_id = earlier_counts.user_id
        and examples.event_time = earlier_counts.event_time
where
    not coalesce(examples.user_total_interactions, 0) <=> earlier_counts.earlier_count
    and {{ of_this_runs_tenant('examples') }}
