-- a row is an example whose user features count other interactions than those before its event
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
    examples.tenant_id,
    examples.draw_index
from {{ ref('training_examples') }} as examples
left join counted
    on
        examples.tenant_id = counted.tenant_id
        and examples.user_id = counted.user_id
        and examples.event_time = counted.event_time
where
    not coalesce(examples.user_total_interactions, 0) <=> counted.earlier_count
    and {{ of_this_runs_tenant('examples') }}
