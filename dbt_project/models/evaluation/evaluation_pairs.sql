-- one row per user, item and part of the split in which the user met the item
{{ config(stats_columns=['first_interaction_at']) }}
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

-- By time, training knows nothing of what a later part undoes. A user's last positives are those
-- that stand in the end, so nothing undone is among the others either.
interactions as (
    select
        interactions.*,
        if(splits.method = 'time', interactions.split, 'all') as undone_within
    from {{ ref('evaluation_interactions') }} as interactions
    inner join splits on interactions.tenant_id = splits.tenant_id
),

{{ pair_labels(
    'interactions',
    key=['tenant_id', 'user_id', 'item_id', 'split'],
    undone_within=['undone_within']
) }},

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
