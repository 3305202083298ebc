-- one row per labelled example
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time']
) }}
{% set scope = change_scope(
    reads={
        'positives': {'user_id': 'user_id', 'rows': true},
        'sampled_negatives': {'user_id': 'user_id', 'rows': true},
        'explicit_negatives': {'user_id': 'user_id', 'rows': true}
    },
    users_of='positives',
    parameters=training_parameters()
) %}
with

positives as (
    {{ newest_rows('positives', scope, key=['tenant_id', 'user_id', 'item_id']) }}
),

sampled_negatives as (
    {{ newest_rows(
        'sampled_negatives', scope, key=['tenant_id', 'user_id', 'positive_item_id', 'draw_index']
    ) }}
),

explicit_negatives as (
    {{ newest_rows('explicit_negatives', scope, key=['tenant_id', 'user_id', 'item_id']) }}
),

examples as (
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
        is_deleted,
        event_time
    from positives
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
        is_deleted,
        event_time
    from sampled_negatives
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
        is_deleted,
        event_time
    from explicit_negatives
),

-- A pair that left one parent may have come into the other, in this run or in an earlier one.
moved_pairs as (
    select
        tenant_id,
        user_id,
        item_id
    from {{ ref('positives') }}
    where {{ in_tenants(scope) }} and {{ has_deleted_pair('explicit_negatives', scope) }}
    union all
    select
        tenant_id,
        user_id,
        item_id
    from {{ ref('explicit_negatives') }}
    where {{ in_tenants(scope) }} and {{ has_deleted_pair('positives', scope) }}
),

deleted_examples as (
    select examples.*
    from examples
    left anti join moved_pairs
        on
            examples.tenant_id = moved_pairs.tenant_id
            and examples.user_id = moved_pairs.user_id
            and examples.anchor_item_id = moved_pairs.item_id
            and examples.draw_index = 0
    where examples.is_deleted
),

training_data as (
    select * except (is_deleted) from examples
    where not is_deleted
)

{{ with_deletions(
    'training_data',
    scope,
    key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    deleted='deleted_examples'
) }}
