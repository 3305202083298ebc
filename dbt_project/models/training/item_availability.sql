-- one row per item: the hour from which it could be recommended
{{ config(unique_key=['tenant_id', 'item_id'], stats_columns=['available_at']) }}
{% set scope = change_scope(
    reads={'stg_interactions': ['item_id'], 'stg_items': ['item_id']},
    parameters=cutoff_parameter()
) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

items as (
    select * from {{ ref('stg_items') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

sightings as (
    select
        tenant_id,
        item_id,
        cast(null as timestamp) as available_from,
        event_time as interacted_at,
        cast(null as timestamp) as catalogued_at
    from interactions
    union all
    select
        tenant_id,
        item_id,
        available_from,
        cast(null as timestamp) as interacted_at,
        known_at as catalogued_at
    from items
),

item_availability as (
    select
        tenant_id,
        item_id,
        date_trunc(
            'hour', coalesce(min(available_from), min(interacted_at), min(catalogued_at))
        ) as available_at
    from sightings
    group by tenant_id, item_id
)

select * from item_availability
