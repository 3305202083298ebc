-- a row is an event of an anonymous id that counts for a user before the two were known to be one
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'a merge of identities that was known later than the event'}
) }}
with

ties as (
    select
        tenant_id,
        anonymous_id,
        user_id,
        min(known_from) as known_from
    from {{ ref('stg_identity_ties') }}
    where user_id is not null and {{ of_this_runs_tenant() }}
    group by tenant_id, anonymous_id, user_id
),

nameless as (
    select
        tenant_id,
        batch_id,
        source_ref
    from {{ source('raw', 'clickstream') }}
    where user_id is null and {{ of_this_runs_tenant() }}
),

attributed as (
    select
        tenant_id,
        user_id,
        item_id,
        event_time,
        min(coalesce(attributed_at, event_time)) as counts_at
    from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
    group by tenant_id, user_id, item_id, event_time
    having count(attributed_at) > 0
),

remembered as (
    select
        tenant_id,
        user_id,
        event_time as remembered_at,
        explode(arrays_zip(item_ids, event_times)) as one
    from {{ ref('user_histories') }}
    where {{ of_this_runs_tenant() }}
)

select
    events.tenant_id,
    events.event_time
from {{ ref('stg_clickstream') }} as events
inner join ties
    on
        events.tenant_id = ties.tenant_id
        and events.anonymous_id = ties.anonymous_id
        and events.user_id = ties.user_id
        -- the device's own, whoever else is called so
        and events.user_id != events.anonymous_id
left semi join nameless
    on
        events.tenant_id = nameless.tenant_id
        and events.batch_id = nameless.batch_id
        and events.source_ref = nameless.source_ref
where coalesce(events.attributed_at, events.event_time) < ties.known_from
union all
select
    remembered.tenant_id,
    remembered.remembered_at as event_time
from remembered
inner join attributed
    on
        remembered.tenant_id = attributed.tenant_id
        and remembered.user_id = attributed.user_id
        and remembered.one.item_ids = attributed.item_id
        and remembered.one.event_times = attributed.event_time
where attributed.counts_at >= remembered.remembered_at
