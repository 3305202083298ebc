-- one row per catalogue version of an item with changed versions
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'item_history', reads={'stg_items': ['item_id']}, parameters=cutoff_parameter()
) %}
with

items as (
    select * from {{ ref('stg_items') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

item_history as (
    select
        tenant_id,
        event_id,
        item_id,
        category,
        is_active,
        price,
        updated_at as valid_from,
        lead(updated_at) over (
            partition by tenant_id, item_id
            order by updated_at, {{ arrival() }}, event_id
        ) as valid_until,
        known_at
    from items
)

{{ with_tombstones('item_history', scope, key=['tenant_id', 'event_id']) }}
