-- a row is a user's history that is not the newest items before its time
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'the target in its own history'}
) }}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
),

{{ earlier_counts('interactions') }}

select
    histories.tenant_id,
    histories.event_time
from {{ ref('user_histories') }} as histories
left join earlier_counts
    on
        histories.tenant_id = earlier_counts.tenant_id
        and histories.user_id = earlier_counts.user_id
        and histories.event_time = earlier_counts.event_time
where
    (
        not size(histories.item_ids) <=> cast(
            least(earlier_counts.earlier_count, {{ var('recent_interaction_limit') | int }}) as int
        )
        or size(histories.interaction_types) != size(histories.item_ids)
        or size(histories.event_times) != size(histories.item_ids)
        or array_max(histories.event_times) >= histories.event_time
    )
    and {{ of_this_runs_tenant('histories') }}
