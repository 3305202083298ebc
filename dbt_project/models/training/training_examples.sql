-- one row per labelled example, with what was known of its user and item before it
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time'],
    change_feed=false
) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={
        'training_data': ['user_hash'],
        'user_feature_history': ['user_hash'],
        'item_feature_history': {
            'item_id': 'item_id',
            'after': 'as_of',
            'users_of': 'training_data'
        }
    },
    parameters=training_parameters()
) %}
{% set example_columns = {
    'anchor_item_id': 'string',
    'draw_index': 'int',
    'interaction_type': 'string',
    'negative_type': 'string',
    'label': 'double',
    'type_weight': 'double',
    'negative_strategy': 'string',
    'sampling_probability': 'double',
    'drawn_popularity': 'bigint'
} %}
with

examples as (
    select * from {{ rows_in_scope('training_data', scope) }}
),

user_feature_history as (
    select * from {{ ref('user_feature_history') }}
    where {{ in_scope(scope) }}
),

item_feature_history as (
    select * from {{ ref('item_feature_history') }}
    where {{ in_tenants(scope) }}
),

{{ point_in_time(
    'with_user_features',
    rows='examples',
    row_columns=merged({'item_id': 'string'}, example_columns),
    history='user_feature_history',
    entity='user_id',
    prefix='user_',
    columns=feature_types('user', in_examples=true)
) }},

{{ point_in_time(
    'with_features',
    rows='with_user_features',
    row_columns=merged({'user_id': 'string'}, example_columns, feature_types('user', 'user_', in_examples=true)),
    history='item_feature_history',
    entity='item_id',
    prefix='item_',
    columns=feature_types('item', in_examples=true)
) }},

training_examples as (
    select
        tenant_id,
        {{ user_hash() }} as user_hash,
        user_id,
        item_id,
        anchor_item_id,
        draw_index,
        interaction_type,
        negative_type,
        label,
        type_weight,
        negative_strategy,
        sampling_probability,
        ln(sampling_probability) as logq,
        drawn_popularity,
        {{ feature_columns('user', 'user_', in_examples=true) }},
        {{ feature_columns('item', 'item_', in_examples=true) }},
        event_time
    from with_features
)

select * from training_examples
