-- a row is a negative drawn from a category that was not its item's and its positive's strictly before
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'today\'s category in the draws'}
) }}
with

negatives as (
    select * from {{ ref('sampled_negatives') }}
    where negative_strategy = 'category' and {{ of_this_runs_tenant() }}
),

versions as (
    select * from {{ ref('item_history') }}
    where not valid_from <=> valid_until and {{ of_this_runs_tenant() }}
),

positives as (
    select
        positives.tenant_id,
        positives.user_id,
        positives.item_id,
        interactions.category
    from {{ ref('positives') }} as positives
    inner join {{ ref('enriched_interactions') }} as interactions
        on
            positives.tenant_id = interactions.tenant_id
            and positives.event_id = interactions.event_id
)

select
    negatives.tenant_id,
    negatives.event_time
from negatives
left join positives
    on
        negatives.tenant_id = positives.tenant_id
        and negatives.user_id = positives.user_id
        and negatives.positive_item_id = positives.item_id
left join versions
    on
        negatives.tenant_id = versions.tenant_id
        and negatives.item_id = versions.item_id
        and negatives.event_time > versions.valid_from
        and (versions.valid_until is null or negatives.event_time <= versions.valid_until)
where not coalesce(versions.category = positives.category, false)
