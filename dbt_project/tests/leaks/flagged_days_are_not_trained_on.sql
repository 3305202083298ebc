-- a row is an example of a day on which its user was flagged as the tenant's settings leave out
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'programs that were to be left out but are trained on'}
) }}
with

left_out as (
    select
        tenant_id,
        explode(from_json(get_json_object(traffic, '$.leave_out'), 'array<string>')) as flag
    from {{ ref('stg_tenant_settings') }}
    where {{ of_this_runs_tenant() }}
),

flagged as (
    select
        tenant_id,
        user_id,
        to_date(as_of) as flagged_date,
        explode(flags) as flag
    from {{ ref('traffic_flags') }}
),

left_out_days as (
    select distinct
        flagged.tenant_id,
        flagged.user_id,
        flagged.flagged_date
    from flagged
    inner join left_out
        on
            flagged.tenant_id = left_out.tenant_id
            and flagged.flag = left_out.flag
)

select
    examples.tenant_id,
    examples.user_id
from {{ ref('training_data') }} as examples
left semi join left_out_days
    on
        examples.tenant_id = left_out_days.tenant_id
        and examples.user_id = left_out_days.user_id
        and to_date(examples.event_time) = left_out_days.flagged_date
