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
    row_columns={
        'item_id': 'string',
        'anchor_item_id': 'string',
        'draw_index': 'int',
        'interaction_type': 'string',
        'negative_type': 'string',
        'label': 'double',
        'sampling_probability': 'double'
    },
    history='user_feature_history',
    entity='user_id',
    prefix='user_',
    columns={
        'total_interactions': 'bigint',
        'view_count': 'bigint',
        'click_count': 'bigint',
        'like_count': 'bigint',
        'purchase_count': 'bigint',
        'dislike_count': 'bigint',
        'unique_items': 'bigint',
        'unique_categories': 'bigint',
        'avg_rating': 'double',
        'interactions_1d': 'bigint',
        'interactions_7d': 'bigint',
        'interactions_30d': 'bigint'
    }
) }},

{{ point_in_time(
    'with_features',
    rows='with_user_features',
    row_columns={
        'user_id': 'string',
        'anchor_item_id': 'string',
        'draw_index': 'int',
        'interaction_type': 'string',
        'negative_type': 'string',
        'label': 'double',
        'sampling_probability': 'double',
        'user_total_interactions': 'bigint',
        'user_view_count': 'bigint',
        'user_click_count': 'bigint',
        'user_like_count': 'bigint',
        'user_purchase_count': 'bigint',
        'user_dislike_count': 'bigint',
        'user_unique_items': 'bigint',
        'user_unique_categories': 'bigint',
        'user_avg_rating': 'double',
        'user_interactions_1d': 'bigint',
        'user_interactions_7d': 'bigint',
        'user_interactions_30d': 'bigint'
    },
    history='item_feature_history',
    entity='item_id',
    prefix='item_',
    columns={
        'popularity': 'bigint',
        'view_count': 'bigint',
        'click_count': 'bigint',
        'like_count': 'bigint',
        'purchase_count': 'bigint',
        'dislike_count': 'bigint',
        'unique_users': 'bigint',
        'avg_rating': 'double',
        'interactions_7d': 'bigint',
        'interactions_30d': 'bigint',
        'trend_7d_30d': 'double',
        'conversion_rate': 'double'
    }
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
        user_total_interactions,
        user_view_count,
        user_click_count,
        user_like_count,
        user_purchase_count,
        user_dislike_count,
        user_unique_items,
        user_unique_categories,
        user_avg_rating,
        user_interactions_1d,
        user_interactions_7d,
        user_interactions_30d,
        item_popularity,
        item_view_count,
        item_click_count,
        item_like_count,
        item_purchase_count,
        item_dislike_count,
        item_unique_users,
        item_avg_rating,
        item_interactions_7d,
        item_interactions_30d,
        item_trend_7d_30d,
        item_conversion_rate,
        event_time
    from with_features
)

{{ with_deletions(
    'training_examples',
    scope,
    key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    deleted='deleted_data'
) }}
