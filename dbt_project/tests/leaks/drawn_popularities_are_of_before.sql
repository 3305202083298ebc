-- a row is a negative whose popularity is not that of before its positive's hour
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'popularity of the future in the draws'}
) }}
with

negatives as (
    select * from {{ ref('sampled_negatives') }}
    where negative_strategy <> 'uniform' and {{ of_this_runs_tenant() }}
),

moments as (
    select
        tenant_id,
        item_id,
        event_time as moment,
        1 as interaction_count,
        cast(null as bigint) as drawn_popularity
    from {{ ref('enriched_interactions') }}
    where {{ of_this_runs_tenant() }}
    union all
    select
        tenant_id,
        item_id,
        date_trunc('hour', event_time) as moment,
        0 as interaction_count,
        coalesce(drawn_popularity, -1) as drawn_popularity
    from negatives
),

counted as (
    select
        *,
        sum(interaction_count) over (
            partition by tenant_id, item_id
            -- the draws of a moment come before its interactions
            order by moment, interaction_count
            rows between unbounded preceding and current row
        ) as earlier_count
    from moments
)

select
    tenant_id,
    moment
from counted
where drawn_popularity <> {{ popularity_step('1 + earlier_count') }}
