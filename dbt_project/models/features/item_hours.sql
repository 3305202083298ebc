-- one row per item and hour with interactions
{{ config(
    unique_key=['tenant_id', 'item_id', 'event_hour'],
    stats_columns=['event_hour']
) }}
{% set scope = change_scope(
    reads={
        'enriched_interactions': {
            'item_id': 'item_id',
            'event_hour': "date_trunc('hour', event_time)"
        }
    },
    floor={'event_hour': "date_trunc('hour', event_time)"},
    parameters=cutoff_parameter()
) %}
with

interactions as (
    select
        *,
        date_trunc('hour', event_time) as event_hour
    from {{ ref('enriched_interactions') }}
),

touched_interactions as (
    select * from interactions
    where {{ in_scope(scope) }}{{ is_above_floor(scope, column='event_time') }}
),

item_hours as (
    select
        tenant_id,
        item_id,
        event_hour,
        count(*) as interaction_count,
        {{ type_counts() }},
        count_if(is_first_of_pair) as new_user_count,
        count(rating) as rating_count,
        cast(sum(rating) as decimal(28, 6)) as rating_sum,
        min(event_time) as first_interaction_at
    from touched_interactions
    group by tenant_id, item_id, event_hour
)

select * from item_hours
