-- a row is a negative drawn by weight whose popularity is not that of before its positive's day
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'popularity of the future in the draws'}
) }}
with

negatives as (
    select * from {{ ref('sampled_negatives') }}
    where negative_strategy <> 'uniform' and {{ of_this_runs_tenant() }}
),

sequence as (
    select
        tenant_id,
        item_id,
        event_time as moment,
        1 as interaction_count,
        cast(null as bigint) as drawn_popularity
    from {{ ref('stg_interactions') }}
    where
        {{ known_by_cutoff() }}
        and tenant_id in (select tenant_id from negatives)
    union all
    select
        tenant_id,
        item_id,
        date_trunc('day', event_time) as moment,
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
    from sequence
)

select
    tenant_id,
    moment
from counted
where drawn_popularity <> earlier_count
