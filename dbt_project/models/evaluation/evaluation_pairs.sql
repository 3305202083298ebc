-- one row per user, item and part of the split in which the user met the item
{{ config(stats_columns=['first_interaction_at']) }}
with

interactions as (
    select * from {{ ref('evaluation_interactions') }}
),

{{ pair_labels('interactions', key=['tenant_id', 'user_id', 'item_id', 'split']) }},

meetings as (
    select
        tenant_id,
        user_id,
        item_id,
        split,
        min(event_time) as first_interaction_at
    from interactions
    group by tenant_id, user_id, item_id, split
),

evaluation_pairs as (
    select
        meetings.tenant_id,
        meetings.user_id,
        meetings.item_id,
        meetings.split,
        labels.positive_event_id,
        labels.strongest_type,
        labels.negative_type,
        meetings.first_interaction_at,
        labels.positive_time,
        labels.negative_time
    from meetings
    left join pair_labels as labels
        on
            meetings.tenant_id = labels.tenant_id
            and meetings.user_id = labels.user_id
            and meetings.item_id = labels.item_id
            and meetings.split = labels.split
)

select * from evaluation_pairs
