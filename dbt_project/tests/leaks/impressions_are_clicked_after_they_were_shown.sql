-- a row is an impression that is called clicked, or not, against what its user did after it
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'an impression after the click'}
) }}
with

settings as (
    select
        tenant_id,
        from_json(
            clickstream, 'struct<click_window_us: bigint, clicked_by: array<string>>'
        ) as told
    from {{ ref('stg_tenant_settings') }}
    where clickstream is not null
),

impressions as (
    select
        impressions.*,
        settings.told.click_window_us,
        settings.told.clicked_by
    from {{ ref('impressions') }} as impressions
    inner join settings
        on impressions.tenant_id = settings.tenant_id
    where {{ of_this_runs_tenant('impressions') }}
),

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ known_by_cutoff() }}
)

select
    impressions.tenant_id,
    impressions.shown_at
from impressions
left join interactions
    on
        impressions.tenant_id = interactions.tenant_id
        and impressions.user_id = interactions.user_id
        and impressions.item_id = interactions.item_id
        and array_contains(impressions.clicked_by, interactions.interaction_type)
        and impressions.shown_at < interactions.event_time
        and unix_micros(interactions.event_time) - unix_micros(impressions.shown_at)
        <= impressions.click_window_us
group by impressions.tenant_id, impressions.user_id, impressions.event_id, impressions.shown_at
having
    max(impressions.is_clicked) != (count(interactions.event_id) > 0)
    or not max(impressions.clicked_at) <=> min(interactions.event_time)
