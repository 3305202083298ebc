-- one row per catalogue version of an item
{{ config(
    unique_key=['tenant_id', 'event_id'],
    stats_columns=['updated_at', 'known_at'],
    added_columns={'sent_fields': 'array<string>'}
) }}
{% set scope = change_scope(reads={'raw.items': ['event_id']}) %}
with

raw_items as (
    select * from {{ source('raw', 'items') }}
    where {{ in_scope(scope) }}
),

{{ ranked_by_arrival('raw_items') }},

stg_items as (
    select
        tenant_id,
        event_id,
        item_id,
        title,
        category,
        attributes,
        source,
        batch_id,
        source_ref,
        is_active,
        price,
        sent_fields,
        available_from,
        updated_at,
        known_at
    from ranked
    where arrival_rank = 1
)

select * from stg_items
