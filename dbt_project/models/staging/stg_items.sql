-- one row per catalogue version of an item
{{ config(
    unique_key=['tenant_id', 'event_id'],
    stats_columns=['updated_at', 'known_at'],
    added_columns={'sent_fields': 'array<string>'}
) }}
select * from {{ ref('stg_items__this_run') }}
