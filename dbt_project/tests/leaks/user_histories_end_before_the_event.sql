-- a row is a user's history that is not the newest items before its time
{{ config(tags=['leak'], enabled=var('audit', false)) }}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
),

counted as (
    select distinct
        tenant_id,
        user_id,
        event_time,
        count(*) over (
            partition by tenant_id, user_id
            order by event_time
            range between unbounded preceding and interval 1 microsecond preceding
        ) as earlier_count
    from interactions
)

select
    histories.tenant_id,
    histories.event_time
from {{ ref('user_histories') }} as histories
left join counted
    on
        histories.tenant_id = counted.tenant_id
        and histories.user_id = counted.user_id
        and histories.event_time = counted.event_time
where
    not size(histories.item_ids) <=> cast(
        least(counted.earlier_count, {{ var('recent_interaction_limit') | int }}) as int
    )
    and {{ of_this_runs_tenant('histories') }}
