-- one row per event, with what the catalogue said of its item then
{{ config(unique_key=['tenant_id', 'event_id'], stats_columns=['event_time', 'known_at']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={
        'stg_interactions': {'user_hash': 'user_hash', 'since': 'event_time'},
        'item_history': {'item_id': 'item_id', 'users_of': 'stg_interactions'}
    },
    time='event_time',
    parameters=cutoff_parameter()
) %}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
),

item_history as (
    select * from {{ ref('item_history') }}
    where {{ in_tenants(scope) }}
),

-- a version that another one replaced at the same time never was in force
versions as (
    select * from item_history
    where not valid_from <=> valid_until
),

catalogue_items as (
    select distinct
        tenant_id,
        item_id
    from item_history
),

marked as (
    select
        interactions.*,
        catalogue_items.item_id is not null as is_joined,
        row_number() over (
            partition by interactions.tenant_id, interactions.user_id, interactions.item_id
            order by interactions.event_time, interactions.event_id
        ) = 1 as is_first_of_pair,
        {{ names_an_agent('interactions.device_type') }} as is_agent
    from interactions
    left join catalogue_items
        on
            interactions.tenant_id = catalogue_items.tenant_id
            and interactions.item_id = catalogue_items.item_id
),

{{ point_in_time(
    'dated',
    rows='marked',
    row_columns={
        'event_id': 'string',
        'user_hash': 'int',
        'user_id': 'string',
        'interaction_type': 'string',
        'session_id': 'string',
        'is_joined': 'boolean',
        'is_first_of_pair': 'boolean',
        'is_agent': 'boolean',
        'rating': 'decimal(18, 6)',
        'attributed_at': 'timestamp',
        'known_at': 'timestamp'
    },
    history='versions',
    entity='item_id',
    as_of='valid_from',
    columns={'category': 'string', 'price': 'decimal(18, 4)'}
) }},

enriched_interactions as (
    select
        tenant_id,
        event_id,
        user_hash,
        user_id,
        item_id,
        interaction_type,
        session_id,
        category,
        is_joined,
        is_first_of_pair,
        is_agent,
        rating,
        price,
        attributed_at,
        event_time,
        known_at
    from dated
)

select * from enriched_interactions
