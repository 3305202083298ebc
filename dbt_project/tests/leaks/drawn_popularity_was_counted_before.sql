-- a row is a negative whose popularity, by which it was drawn, is not what was counted before its
-- positive's day
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'popularity of the future in negatives drawn by it'}
) }}
with

settings as (
    select
        tenant_id,
        cast(get_json_object(negatives, '$.period_days') as int) as period_days
    from {{ ref('stg_tenant_settings') }}
    where negatives is not null and {{ of_this_runs_tenant() }}
),

negatives as (
    select
        training_data.*,
        date_add(
            cast(training_data.event_time as date),
            -pmod(unix_date(cast(training_data.event_time as date)), settings.period_days)
        ) as first_day
    from {{ ref('training_data') }} as training_data
    inner join settings
        on training_data.tenant_id = settings.tenant_id
    where training_data.drawn_popularity is not null
),

drawn as (
    select distinct
        tenant_id,
        item_id,
        first_day,
        drawn_popularity
    from negatives
)

select
    drawn.tenant_id,
    drawn.first_day
from drawn
left join {{ ref('enriched_interactions') }} as interactions
    on
        drawn.tenant_id = interactions.tenant_id
        and drawn.item_id = interactions.item_id
        and cast(interactions.event_time as date) < drawn.first_day
group by drawn.tenant_id, drawn.item_id, drawn.first_day, drawn.drawn_popularity
having count(interactions.event_time) != drawn.drawn_popularity
