-- a row is an interaction with a category or price that was not in force strictly before it
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'today\'s price beside an old event'}
) }}
with

interactions as (
    select * from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
),

versions as (
    select * from {{ ref('item_history') }}
    where not valid_from <=> valid_until and {{ of_this_runs_tenant() }}
)

select
    interactions.tenant_id,
    interactions.event_time
from interactions
left join versions
    on
        interactions.tenant_id = versions.tenant_id
        and interactions.item_id = versions.item_id
        and interactions.event_time > versions.valid_from
        and (versions.valid_until is null or interactions.event_time <= versions.valid_until)
where not (interactions.category <=> versions.category and interactions.price <=> versions.price)
