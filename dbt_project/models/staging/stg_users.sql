-- one row per version of a user
{{ config(
    unique_key=['tenant_id', 'event_id'],
    stats_columns=['updated_at', 'known_at']
) }}
{% set scope = change_scope(reads={'raw.users': ['event_id']}) %}
with

raw_users as (
    select * from {{ source('raw', 'users') }}
    where {{ in_scope(scope) }}
),

{{ ranked_by_arrival('raw_users') }},

stg_users as (
    select
        tenant_id,
        event_id,
        {{ user_hash() }} as user_hash,
        user_id,
        attributes,
        consent,
        source,
        batch_id,
        source_ref,
        sent_fields,
        updated_at,
        known_at
    from ranked
    where arrival_rank = 1
)

select * from stg_users
