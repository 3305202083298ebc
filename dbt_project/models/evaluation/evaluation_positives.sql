-- one row per user and item with an interaction of a positive type: the first one and its split
{{ config(materialized='ephemeral') }}
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

first_positives as (
    select
        *,
        row_number() over (
            partition by tenant_id, user_id, item_id
            order by positive_time, positive_event_id
        ) as occurrence
    from {{ ref('evaluation_pairs') }}
    where positive_event_id is not null and {{ of_evaluated_tenants() }}
),

counted_positives as (
    select
        *,
        count_if(split = 'train') over (partition by tenant_id, user_id) as user_train_count,
        count_if(split = 'train') over (partition by tenant_id, item_id) as item_train_count
    from first_positives
    where occurrence = 1
),

evaluation_positives as (
    select
        positives.tenant_id,
        positives.user_id,
        positives.item_id,
        positives.split,
        positives.strongest_type,
        positives.user_train_count,
        positives.item_train_count,
        positives.split != 'train' or (
            positives.user_train_count >= splits.minimum_user_positives
            and positives.item_train_count >= splits.minimum_item_positives
        ) as is_kept,
        positives.positive_time as event_time
    from counted_positives as positives
    inner join splits on positives.tenant_id = splits.tenant_id
)

select * from evaluation_positives
