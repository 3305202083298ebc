-- one row per interaction of the tenants asked for, with the part of the split that it belongs to
{{ config(materialized='ephemeral') }}
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

interactions as (
    select * from {{ ref('stg_interactions') }}
    where
        {{ known_by_cutoff() }}
        and (attributed_at is null or {{ known_by_cutoff('attributed_at') }})
        and {{ of_evaluated_tenants() }}
        and {{ agrees_to_training(tenants=of_evaluated_tenants()) }}
),

{{ without_left_out_days(
    'interactions', ref('stg_tenant_settings'), traffic_tenants('leave_out')
) }},

left_out_by_user as (
    select interactions.*
    from trusted_interactions as interactions
    left semi join splits
        on interactions.tenant_id = splits.tenant_id and splits.method = 'leave_one_out'
),

{{ pair_labels('left_out_by_user') }},

-- The order of positives is that of their first interactions: time, then event id.
ranked_positives as (
    select
        tenant_id,
        user_id,
        struct(positive_time, positive_event_id) as place,
        row_number() over (
            partition by tenant_id, user_id
            order by positive_time desc, positive_event_id desc
        ) as place_from_last,
        count(*) over (partition by tenant_id, user_id) as positive_count
    from pair_labels
    where positive_event_id is not null
),

-- A user keeps at least one positive to learn from: of one nothing is left out, of two the last.
user_boundaries as (
    select
        tenant_id,
        user_id,
        max(if(place_from_last = 1, place, null)) as test_from,
        max(if(place_from_last = 2 and positive_count > 2, place, null)) as validation_from
    from ranked_positives
    where positive_count > 1
    group by tenant_id, user_id
),

evaluation_interactions as (
    select
        interactions.tenant_id,
        interactions.user_id,
        interactions.item_id,
        interactions.event_id,
        interactions.interaction_type,
        case
            when splits.method = 'time'
                then
                    case
                        when interactions.event_time < splits.train_until then 'train'
                        when interactions.event_time < splits.validation_until then 'validation'
                        else 'test'
                    end
            when struct(interactions.event_time, interactions.event_id) >= boundaries.test_from
                then 'test'
            when
                struct(interactions.event_time, interactions.event_id)
                >= boundaries.validation_from
                then 'validation'
            else 'train'
        end as split,
        interactions.event_time
    from trusted_interactions as interactions
    inner join splits on interactions.tenant_id = splits.tenant_id
    left join user_boundaries as boundaries
        on
            interactions.tenant_id = boundaries.tenant_id
            and interactions.user_id = boundaries.user_id
    -- whose it was became known in a later part than it happened in
    where
        interactions.attributed_at is null
        or splits.method != 'time'
        or not (
            (
                interactions.event_time < splits.train_until
                and interactions.attributed_at >= splits.train_until
            )
            or (
                interactions.event_time < splits.validation_until
                and interactions.attributed_at >= splits.validation_until
            )
        )
)

select * from evaluation_interactions
