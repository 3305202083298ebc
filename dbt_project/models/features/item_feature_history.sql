-- one row per item and hour with interactions, as of the hour's end
{{ config(
    unique_key=['tenant_id', 'item_id', 'as_of'],
    stats_columns=['as_of']
) }}
{% set scope = change_scope(
    reads={'item_hours': ['item_id']},
    floor={'as_of': 'event_hour + interval 1 hour'},
    parameters=cutoff_parameter()
) %}
with

item_hours as (
    select
        *,
        event_hour + interval 1 hour as as_of
    from {{ ref('item_hours') }}
    where {{ in_scope(scope) }}
),

counted as (
    select
        tenant_id,
        item_id,
        as_of,
        sum(interaction_count) over so_far as popularity,
        sum(view_count) over so_far as view_count,
        sum(click_count) over so_far as click_count,
        sum(like_count) over so_far as like_count,
        sum(purchase_count) over so_far as purchase_count,
        sum(dislike_count) over so_far as dislike_count,
        sum(new_user_count) over so_far as unique_users,
        sum(rating_count) over so_far as rating_count,
        sum(rating_sum) over so_far as rating_sum,
        sum(interaction_count) over week as interactions_7d,
        sum(interaction_count) over month as interactions_30d,
        min(first_interaction_at) over so_far as first_seen_at
    from item_hours
    window
        so_far as (
            partition by tenant_id, item_id order by as_of
            range between unbounded preceding and current row
        ),
        -- 7 and 30 days are these hours and the current one
        week as (
            partition by tenant_id, item_id order by as_of
            range between interval 167 hours preceding and current row
        ),
        month as (
            partition by tenant_id, item_id order by as_of
            range between interval 719 hours preceding and current row
        )
),

rated as (
    select
        *,
        cast(rating_sum / nullif(rating_count, 0) as double) as avg_rating,
        (interactions_7d / 7) / (interactions_30d / 30) as trend_7d_30d,
        purchase_count / nullif(view_count, 0) as conversion_rate
    from counted
),

item_feature_history as (
    select
        tenant_id,
        item_id,
        {{ feature_columns('item') }},
        as_of
    from rated
    where true{{ is_above_floor(scope) }}
)

select * from item_feature_history
