-- a row is a shown negative that no list before the click showed beside the item clicked
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'negatives that were shown only after the click'}
) }}
with

negatives as (
    select * from {{ ref('training_data') }}
    where negative_type = 'shown' and {{ of_this_runs_tenant() }}
),

impressions as (
    select * from {{ ref('impressions') }}
    where {{ of_this_runs_tenant() }}
),

settings as (
    select
        tenant_id,
        cast(get_json_object(clickstream, '$.click_window_us') as bigint) as click_window_us
    from {{ ref('stg_tenant_settings') }}
)

select
    negatives.tenant_id,
    negatives.event_time
from negatives
left join impressions as shown
    on
        negatives.tenant_id = shown.tenant_id
        and negatives.user_id = shown.user_id
        and negatives.item_id = shown.item_id
        and negatives.shown_position <=> shown.shown_position
        and negatives.event_time > shown.shown_at
left join impressions as clicked
    on
        shown.tenant_id = clicked.tenant_id
        and shown.user_id = clicked.user_id
        and shown.shown_at = clicked.shown_at
        and shown.session_id <=> clicked.session_id
        and shown.page <=> clicked.page
        and negatives.anchor_item_id = clicked.item_id
left join settings
    on negatives.tenant_id = settings.tenant_id
group by
    negatives.tenant_id,
    negatives.user_id,
    negatives.anchor_item_id,
    negatives.draw_index,
    negatives.event_time,
    settings.click_window_us
having
    not coalesce(
        unix_micros(negatives.event_time) - unix_micros(max(clicked.shown_at))
        <= settings.click_window_us,
        false
    )
