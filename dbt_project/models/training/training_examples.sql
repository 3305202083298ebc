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
        },
        'item_history': {
            'item_id': 'item_id',
            'after': 'valid_from',
            'users_of': 'training_data'
        },
        'stg_interactions': ['user_hash'],
        'stg_users': ['user_hash'],
        'stg_tenant_settings': []
    },
    parameters=training_parameters(),
    only_tenants={'stg_users': example_tenants('user')}
) %}
{% set has_zones = example_tenants('time_zone', scope) != [] %}
{% set has_profiles = example_tenants('user', scope) != [] %}
{% set attributes = {'chosen_attributes': attributes_type()} %}
{% set example_columns = {
    'anchor_item_id': 'string',
    'draw_index': 'int',
    'interaction_type': 'string',
    'negative_type': 'string',
    'label': 'double',
    'type_weight': 'double',
    'shown_position': 'int',
    'drawn_by': 'string',
    'drawn_popularity': 'bigint',
    'sampling_probability': 'double',
    'logq': 'double'
} %}
{% set context_type = 'struct<device_type: string, location: string, session_position: int>' %}
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

-- a version that another one replaced at the same time never was in force
catalogue as (
    select * from {{ ref('item_history') }}
    where not valid_from <=> valid_until and {{ in_tenants(scope) }}
),

interactions as (
    select * from {{ rows_in_scope(
        'stg_interactions', scope, known_by_cutoff(),
        columns=[
            'tenant_id', 'user_id', 'event_id', 'device_type', 'location', 'session_id', 'event_time'
        ]
    ) }}
),

{{ user_profiles(rows_in_scope('stg_users', scope, known_by_cutoff()), has_profiles) }},

events as (
    select
        tenant_id,
        user_id,
        event_id,
        struct(
            device_type,
            location,
            if(session_id is null, null, rank() over session_so_far) as session_position
        ) as context
    from interactions
    window session_so_far as (
        partition by tenant_id, user_id, session_id
        order by event_time
    )
),

-- a sampled negative has no event
with_events as (
    select
        examples.*,
        events.context
    from examples
    left join events
        on
            examples.tenant_id = events.tenant_id
            and examples.user_id = events.user_id
            and examples.event_id = events.event_id
),

{{ point_in_time(
    'with_user_features',
    rows='with_events',
    row_columns=merged({'item_id': 'string', 'context': context_type}, example_columns),
    history='user_feature_history',
    entity='user_id',
    prefix='user_',
    columns=feature_types('user', in_examples=true),
    also=[
        {'history': 'user_profiles', 'as_of': 'valid_from', 'columns': attributes}
    ] if has_profiles else []
) }},

-- but its positive's context
with_context as (
    select
        * except (context),
        max(context) over (partition by tenant_id, user_id, anchor_item_id) as context
    from with_user_features
),

{{ point_in_time(
    'with_features',
    rows='with_context',
    row_columns=merged(
        {'user_id': 'string', 'context': context_type},
        example_columns,
        feature_types('user', 'user_', in_examples=true),
        {'user_chosen_attributes': attributes_type()} if has_profiles else {}
    ),
    history='item_feature_history',
    entity='item_id',
    prefix='item_',
    columns=merged(feature_types('item', in_examples=true), {'first_seen_at': 'timestamp'}),
    also=[{
        'history': 'catalogue',
        'as_of': 'valid_from',
        'columns': merged(attributes, {
            'category': 'string',
            'price': 'decimal(18, 4)',
            'available_from': 'timestamp',
            'listed_at': 'timestamp'
        })
    }]
) }},

{{ local_times('with_features', has_zones) }},

dated as (
    select
        *,
        coalesce(item_available_from, least(item_first_seen_at, item_listed_at)) as item_since
    from local_times
),

described as (
    select
        *,
        {{ attribute_texts('user_chosen_attributes' if has_profiles) }} as user_texts,
        {{ attribute_numbers('user_chosen_attributes' if has_profiles) }} as user_numbers,
        {{ attribute_texts('item_chosen_attributes') }} as item_texts,
        {{ attribute_numbers('item_chosen_attributes') }} as item_numbers,
        if(
            item_since is null,
            null,
            cast(
                greatest(unix_micros(event_time) - unix_micros(item_since), 0)
                div 86400000000 as int
            )
        ) as item_age_days,
        context.device_type as context_device_type,
        context.location as context_location,
        context.session_position as context_session_position,
        hour(local_time) as context_hour,
        -- since a Monday
        pmod(datediff(local_time, date '1970-01-05'), 7) + 1 as context_weekday
    from dated
),

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
        shown_position,
        drawn_by,
        drawn_popularity,
        sampling_probability,
        logq,
        {{ feature_columns('user', 'user_', in_examples=true) }},
        {{ feature_columns('profile', 'user_') }},
        {{ feature_columns('item', 'item_', in_examples=true) }},
        {{ feature_columns('catalogue', 'item_') }},
        {{ feature_columns('context', 'context_') }},
        event_time
    from described
)

select * from training_examples
