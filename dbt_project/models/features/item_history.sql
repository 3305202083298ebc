-- one row per catalogue version of an item
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['valid_from', 'valid_until']) }}
{% set scope = change_scope(reads={'stg_items': ['item_id']}, parameters=cutoff_parameter()) %}
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
        {{ carried('category') }} as category,
        {{ carried('is_active') }} as is_active,
        {{ carried('price') }} as price,
        updated_at as valid_from,
        lead(updated_at) over in_order as valid_until,
        known_at
    from items
    window
        in_order as (
            partition by tenant_id, item_id
            order by updated_at, {{ arrival() }}, event_id
        ),
        so_far as (
            partition by tenant_id, item_id
            order by updated_at, {{ arrival() }}, event_id
            rows between unbounded preceding and current row
        )
)

select * from item_history
