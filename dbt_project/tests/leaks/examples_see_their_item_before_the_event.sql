-- a row is an example whose item features count more than the full hours before its event, or less
-- than all of them but the last
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'popularity of today, or features that are missing where there is a past'}
) }}
with

sequence as (
    select
        tenant_id,
        item_id,
        date_trunc('hour', event_time) as event_hour,
        1 as interaction_count,
        false as is_example,
        cast(null as bigint) as item_popularity
    from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
    union all
    select
        tenant_id,
        item_id,
        date_trunc('hour', event_time) as event_hour,
        0 as interaction_count,
        true as is_example,
        coalesce(item_popularity, 0) as item_popularity
    from {{ ref('training_examples') }}
    where {{ of_this_runs_tenant() }}
),

counted as (
    select
        *,
        coalesce(sum(interaction_count) over (
            partition by tenant_id, item_id
            order by event_hour
            range between unbounded preceding and interval 1 hour preceding
        ), 0) as at_most,
        coalesce(sum(interaction_count) over (
            partition by tenant_id, item_id
            order by event_hour
            range between unbounded preceding and interval 2 hours preceding
        ), 0) as at_least
    from sequence
)

select
    tenant_id,
    event_hour
from counted
where is_example and (item_popularity > at_most or item_popularity < at_least)
