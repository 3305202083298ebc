-- one row per positive and item that was drawn for it by popularity or from its category
{{ config(
    unique_key=['tenant_id', 'user_id', 'positive_item_id', 'draw_index'],
    stats_columns=['event_time']
) }}
{% set scope = change_scope(
    replaces_users=true,
    asked_for=has_weighted_shares(),
    reads={
        'stg_interactions': ['user_hash'],
        'item_availability': {'since': 'available_at', 'users_of': 'stg_interactions'},
        'item_hours': {
            'since': "date_trunc('day', event_hour) + interval 1 day",
            'users_of': 'stg_interactions'
        },
        'stg_items': {'since': 'updated_at', 'users_of': 'stg_interactions'},
        'stg_tenant_settings': []
    },
    parameters=training_parameters()
) %}
{% set settings = weighted_settings(scope) %}
{% set availability = rows_in_scope(
    'item_availability', scope, of_tenants=true, is_repeated=true
) %}
with

tenant_settings as (
    select * from {{ settings }}
),

known_pairs as (
    select * from {{ known_pairs(scope, settings) }}
),

item_weights as (
    select * from {{ item_weights(scope, settings, availability) }}
),

category_spans as (
    select * from {{ category_spans(scope, settings, availability) }}
),

{{ eligible_weights('known_pairs', 'item_weights', 'tenant_settings') }},

{{ category_counts('known_pairs', 'category_spans') }},

{{ weighted_slots('item_weights', 'category_spans') }},

{{ weighted_tries('known_pairs', 'tenant_settings') }},

{{ weighted_draws('known_pairs', 'item_weights') }},

ranked_items as (
    select
        tenant_id,
        item_id,
        row_number() over (partition by tenant_id order by available_at, item_id) - 1 as item_rank
    from {{ availability }}
),

known_or_drawn as (
    select
        tenant_id,
        user_id,
        item_id,
        1 as is_known,
        cast(null as string) as positive_item_id,
        cast(null as int) as draw_index,
        cast(null as string) as negative_strategy,
        cast(null as double) as sampling_probability,
        cast(null as bigint) as drawn_popularity,
        cast(null as timestamp) as event_time
    from known_pairs
    union all
    select
        tenant_id,
        user_id,
        item_id,
        0 as is_known,
        positive_item_id,
        draw_index,
        negative_strategy,
        sampling_probability,
        drawn_popularity,
        event_time
    from weighted_draws
),

-- the place of a drawn item among those that the user does not know, where uniform draws leave it out
placed_draws as (
    select
        known_or_drawn.*,
        ranked_items.item_rank - sum(known_or_drawn.is_known) over (
            partition by known_or_drawn.tenant_id, known_or_drawn.user_id
            order by ranked_items.item_rank
        ) as eligible_position
    from known_or_drawn
    inner join ranked_items
        on
            known_or_drawn.tenant_id = ranked_items.tenant_id
            and known_or_drawn.item_id = ranked_items.item_id
),

weighted_negatives as (
    select
        tenant_id,
        {{ user_hash() }} as user_hash,
        user_id,
        item_id,
        positive_item_id,
        draw_index,
        negative_strategy,
        eligible_position,
        sampling_probability,
        drawn_popularity,
        event_time
    from placed_draws
    where is_known = 0
)

select * from weighted_negatives
