-- one row per labelled example and part of the split
{{ config(stats_columns=['label', 'event_time']) }}
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

all_positives as (
    select * from {{ ref('evaluation_positives') }}
    where is_kept
),

train_pairs as (
    select * from {{ ref('evaluation_pairs') }}
    where split = 'train' and {{ of_evaluated_tenants() }}
),

items as (
    select * from {{ ref('evaluation_items') }}
    where {{ of_evaluated_tenants() }}
),

users as (
    select
        tenant_id,
        user_id,
        max(user_train_count) as user_train_count,
        count_if(split = 'train' and is_kept) as train_positive_count
    from {{ ref('evaluation_positives') }}
    group by tenant_id, user_id
),

-- What training may know of a user and of the items ends where the training rows end: an item that
-- the user takes later may be drawn, or its absence would tell that it is taken.
known_pairs as (
    select
        train_pairs.tenant_id,
        train_pairs.user_id,
        train_pairs.item_id,
        positives.event_time as positive_time
    from train_pairs
    left join all_positives as positives
        on
            train_pairs.tenant_id = positives.tenant_id
            and train_pairs.user_id = positives.user_id
            and train_pairs.item_id = positives.item_id
            and positives.split = 'train'
),

item_availability as (
    select
        tenant_id,
        item_id,
        train_available_at as available_at
    from items
    where is_frequent and train_available_at is not null
),

{{ sampled_negatives(
    'known_pairs', 'item_availability', times='all_positives', time='event_time'
) }},

examples as (
    select
        tenant_id,
        user_id,
        item_id,
        item_id as anchor_item_id,
        0 as draw_index,
        split,
        strongest_type as interaction_type,
        cast(null as string) as negative_type,
        1.0d as label,
        cast(null as double) as sampling_probability,
        event_time
    from all_positives
    union all
    select
        tenant_id,
        user_id,
        item_id,
        positive_item_id as anchor_item_id,
        draw_index,
        'train' as split,
        cast(null as string) as interaction_type,
        'sampled' as negative_type,
        0.0d as label,
        sampling_probability,
        event_time
    from sampled_negatives
    union all
    select
        pairs.tenant_id,
        pairs.user_id,
        pairs.item_id,
        pairs.item_id as anchor_item_id,
        0 as draw_index,
        'train' as split,
        pairs.negative_type as interaction_type,
        'explicit' as negative_type,
        0.0d as label,
        cast(null as double) as sampling_probability,
        pairs.negative_time as event_time
    from train_pairs as pairs
    inner join splits on pairs.tenant_id = splits.tenant_id
    inner join items
        on pairs.tenant_id = items.tenant_id and pairs.item_id = items.item_id
    left join users
        on pairs.tenant_id = users.tenant_id and pairs.user_id = users.user_id
    where
        pairs.positive_event_id is null
        and pairs.negative_type is not null
        and items.is_frequent
        and coalesce(users.user_train_count, 0) >= splits.minimum_user_positives
),

evaluation_data as (
    select
        examples.tenant_id,
        examples.user_id,
        examples.item_id,
        examples.anchor_item_id,
        examples.draw_index,
        examples.split,
        examples.interaction_type,
        examples.negative_type,
        coalesce(users.train_positive_count, 0) = 0 as is_cold_user,
        items.train_positive_count = 0 as is_cold_item,
        examples.label,
        examples.sampling_probability,
        examples.event_time
    from examples
    inner join items
        on examples.tenant_id = items.tenant_id and examples.item_id = items.item_id
    left join users
        on examples.tenant_id = users.tenant_id and examples.user_id = users.user_id
)

select * from evaluation_data
