-- a row is a negative by category whose item was not in that of its positive's item by the hour
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'today\'s category in the draws'}
) }}
with

negatives as (
    select
        *,
        date_trunc('hour', event_time) as event_hour
    from {{ ref('sampled_negatives') }}
    where negative_strategy = 'category' and {{ of_this_runs_tenant() }}
),

versions as (
    select * from {{ ref('item_history') }}
    where not valid_from <=> valid_until and {{ of_this_runs_tenant() }}
),

wanted as (
    select
        negatives.tenant_id,
        negatives.user_id,
        negatives.positive_item_id,
        negatives.item_id,
        negatives.event_hour,
        versions.category
    from negatives
    left join versions
        on
            negatives.tenant_id = versions.tenant_id
            and negatives.positive_item_id = versions.item_id
            and negatives.event_hour > versions.valid_from
            and (versions.valid_until is null or negatives.event_hour <= versions.valid_until)
)

select
    tenant_id,
    event_hour
from wanted
where not exists (
    select 1 from versions
    where
        versions.tenant_id = wanted.tenant_id
        and versions.item_id = wanted.item_id
        and versions.category = wanted.category
        and versions.valid_from < wanted.event_hour
)
