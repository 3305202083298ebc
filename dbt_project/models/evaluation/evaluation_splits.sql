-- one row per tenant: where its interactions are divided into train, validation and test
with

{{ requested_splits() }},

interactions as (
    select * from {{ ref('stg_interactions') }}
    where
        {{ known_by_cutoff() }}
        and {{ of_evaluated_tenants() }}
        and {{ agrees_to_training(tenants=of_evaluated_tenants()) }}
),

{{ without_left_out_days(
    'interactions', ref('stg_tenant_settings'), traffic_tenants('leave_out')
) }},

{{ pair_labels('trusted_interactions') }},

moments as (
    select
        tenant_id,
        positive_time as moment,
        count(*) as positive_count
    from pair_labels
    where positive_event_id is not null
    group by tenant_id, positive_time
),

-- Positives of one moment stay together, on the later side of a boundary.
counted_moments as (
    select
        tenant_id,
        moment,
        sum(positive_count) over (
            partition by tenant_id
            order by moment
            rows between unbounded preceding and current row
        ) as count_to_here,
        sum(positive_count) over (partition by tenant_id) as total_count
    from moments
),

train_boundaries as (
    select
        requested_splits.tenant_id,
        coalesce(
            max(requested_splits.asked_train_until),
            min(
                if(
                    counted_moments.count_to_here
                    > floor(counted_moments.total_count * requested_splits.train_share),
                    counted_moments.moment,
                    null
                )
            )
        ) as train_until
    from requested_splits
    inner join counted_moments on requested_splits.tenant_id = counted_moments.tenant_id
    where requested_splits.method = 'time'
    group by requested_splits.tenant_id
),

train_counts as (
    select
        train_boundaries.tenant_id,
        train_boundaries.train_until,
        max(
            if(
                counted_moments.moment < train_boundaries.train_until,
                counted_moments.count_to_here,
                0
            )
        ) as train_count
    from train_boundaries
    inner join counted_moments on train_boundaries.tenant_id = counted_moments.tenant_id
    group by train_boundaries.tenant_id, train_boundaries.train_until
),

-- Of the positives from `train_until` on, validation takes its share of what is not train's.
validation_boundaries as (
    select
        train_counts.tenant_id,
        train_counts.train_until,
        coalesce(
            max(requested_splits.asked_validation_until),
            min(
                if(
                    counted_moments.count_to_here > train_counts.train_count + floor(
                        (counted_moments.total_count - train_counts.train_count)
                        * requested_splits.validation_share / (1 - requested_splits.train_share)
                    ),
                    counted_moments.moment,
                    null
                )
            )
        ) as validation_until
    from train_counts
    inner join requested_splits on train_counts.tenant_id = requested_splits.tenant_id
    left join counted_moments
        on
            train_counts.tenant_id = counted_moments.tenant_id
            and train_counts.train_until <= counted_moments.moment
    group by train_counts.tenant_id, train_counts.train_until
),

evaluation_splits as (
    select
        requested_splits.tenant_id,
        requested_splits.method,
        requested_splits.train_share,
        requested_splits.validation_share,
        requested_splits.minimum_user_positives,
        requested_splits.minimum_item_positives,
        boundaries.train_until,
        boundaries.validation_until
    from requested_splits
    left join validation_boundaries as boundaries
        on requested_splits.tenant_id = boundaries.tenant_id
)

select * from evaluation_splits
