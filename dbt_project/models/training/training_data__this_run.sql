-- one row per labelled example of touched users
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'training_data',
    reads={
        'positives': ['user_id'],
        'sampled_negatives': ['user_id'],
        'explicit_negatives': ['user_id']
    },
    parameters=training_parameters()
) %}
with

training_data as (
    select
        tenant_id,
        user_id,
        item_id,
        item_id as anchor_item_id,
        0 as draw_index,
        strongest_type as interaction_type,
        cast(null as string) as negative_type,
        1.0d as label,
        cast(null as double) as sampling_probability,
        event_time
    from {{ ref('positives') }}
    where {{ in_scope(scope) }}
    union all
    select
        tenant_id,
        user_id,
        item_id,
        positive_item_id as anchor_item_id,
        draw_index,
        cast(null as string) as interaction_type,
        'sampled' as negative_type,
        0.0d as label,
        sampling_probability,
        event_time
    from {{ ref('sampled_negatives') }}
    where {{ in_scope(scope) }}
    union all
    select
        tenant_id,
        user_id,
        item_id,
        item_id as anchor_item_id,
        0 as draw_index,
        interaction_type,
        'explicit' as negative_type,
        0.0d as label,
        cast(null as double) as sampling_probability,
        event_time
    from {{ ref('explicit_negatives') }}
    where {{ in_scope(scope) }}
)

{{ with_tombstones(
    'training_data', scope, key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index']
) }}
