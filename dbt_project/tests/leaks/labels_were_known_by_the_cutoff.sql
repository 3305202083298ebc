-- a row is a labelled pair, or an interaction behind the features, that was known after the cutoff
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'backfilled rows'}
) }}
with

labels as (
    select
        tenant_id,
        event_id
    from {{ ref('positives') }}
    union all
    select
        tenant_id,
        event_id
    from {{ ref('explicit_negatives') }}
    union all
    select
        tenant_id,
        event_id
    from {{ ref('enriched_interactions') }}
)

select
    labels.tenant_id,
    interactions.known_at
from labels
inner join {{ ref('stg_interactions') }} as interactions
    on
        labels.tenant_id = interactions.tenant_id
        and labels.event_id = interactions.event_id
where
    not ({{ known_by_cutoff() }})
    and {{ of_this_runs_tenant('labels') }}
