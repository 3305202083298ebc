-- one row per catalogue version of an item
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['valid_from', 'valid_until']) }}
{% set scope = change_scope(
    reads={'stg_items': ['item_id'], 'stg_tenant_settings': []},
    parameters=cutoff_parameter(),
    only_tenants={'stg_tenant_settings': example_tenants('item')}
) %}
{% set has_attributes = example_tenants('item', scope) != [] %}
with

items as (
    select * from {{ ref('stg_items') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

versions as (
    select
        tenant_id,
        event_id,
        item_id,
        {{ carried('category') }} as category,
        {{ carried('attributes') if has_attributes else 'cast(null as string)' }} as document,
        {{ carried('is_active') }} as is_active,
        {{ carried('price') }} as price,
        {{ carried('available_from') }} as available_from,
        first_value(updated_at) over so_far as listed_at,
        updated_at as valid_from,
        lead(updated_at) over in_order as valid_until,
        known_at
    from items
    window {{ versions_in_order('item_id') }}
),

{{ chosen_attributes('described', 'versions', 'item', has_attributes) }},

item_history as (
    select
        tenant_id,
        event_id,
        item_id,
        category,
        chosen_attributes,
        is_active,
        price,
        available_from,
        listed_at,
        valid_from,
        valid_until,
        known_at
    from described
)

select * from item_history
