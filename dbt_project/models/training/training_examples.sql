-- one row per labelled example, with what was known of its user and item before it
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time'],
    change_feed=false
) }}
{% set scope = change_scope(
    reads={
        'training_data': {'user_id': 'user_id', 'rows': true},
        'user_feature_history': {'user_id': 'user_id', 'after': 'as_of'},
        'item_feature_history': {'item_id': 'item_id', 'after': 'as_of'}
    },
    users_of='user_feature_history',
    parameters=training_parameters()
) %}
{% set example_columns = {
    'anchor_item_id': 'string',
    'draw_index': 'int',
    'interaction_type': 'string',
    'negative_type': 'string',
    'label': 'double',
    'sampling_probability': 'double'
} %}
{% set is_later = in_scope(scope, 'training_data', since='event_time') %}
with

changed_data as (
    {{ newest_rows(
        'training_data', scope, key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index']
    ) }}
),

deleted_data as (
    select * from changed_data
    where is_deleted
),

training_data as (
    select * from {{ ref('training_data') }}
),

-- after a change of their user or item
later_data as (
    select * from training_data
    where {{ is_later if scope.mode == 'changed' else 'false' }}
),

examples as (
    select * except (is_deleted) from changed_data
    where not is_deleted
    union all
    select later_data.*
    from later_data
    left anti join changed_data
        on
            later_data.tenant_id = changed_data.tenant_id
            and later_data.user_id = changed_data.user_id
            and later_data.anchor_item_id = changed_data.anchor_item_id
            and later_data.draw_index = changed_data.draw_index
),

user_feature_history as (
    select * from {{ ref('user_feature_history') }}
    where {{ in_tenants(scope) }} and {{ has_user_in('examples', scope) }}
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
        user_id,
        item_id,
        anchor_item_id,
        draw_index,
        interaction_type,
        negative_type,
        label,
        sampling_probability,
        {{ feature_columns('user', 'user_', in_examples=true) }},
        {{ feature_columns('item', 'item_', in_examples=true) }},
        event_time
    from with_features
)

{{ with_deletions(
    'training_examples',
    scope,
    key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    deleted='deleted_data'
) }}
