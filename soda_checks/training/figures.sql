-- one row per tenant: what the training set holds, and what the sampler promised
with

examples as (
    select
        tenant_id,
        label,
        negative_type,
        struct(user_id, anchor_item_id, draw_index) as example_key,
        user_id is null or item_id is null or event_time is null as has_no_id,
        not coalesce(
            label = if(negative_type is null, 1.0d, 0.0d)
            and coalesce(negative_type in ('sampled', 'shown'), false)
            = (sampling_probability is not null)
            and coalesce(sampling_probability, 1.0d) > 0.0d
            and coalesce(sampling_probability, 1.0d) <= 1.0d,
            false
        ) as is_mislabelled
    from training.training_data
    where :is_for_all or array_contains(:tenants, tenant_id)
),

example_totals as (
    select
        tenant_id,
        count(*) as row_count,
        count_if(label = 1.0d) as positive_count,
        count_if(negative_type = 'sampled') as sampled_negative_count,
        count_if(negative_type = 'explicit') as explicit_negative_count,
        count(*) - count(distinct example_key) as duplicate_count,
        count_if(has_no_id) as missing_id_count,
        count_if(is_mislabelled) as wrong_label_count
    from examples
    group by tenant_id
),

-- A tenant's totals side by side: joining them would cost a shuffle each.
totals as (
    select
        tenant_id,
        struct(*) as examples,
        null as contents,
        null as staging
    from example_totals
    union all
    select
        tenant_id,
        null as examples,
        struct(
            positive_count, shortfall_count, unix_micros(newest_known_at) as newest_known_us
        ) as contents,
        null as staging
    from training.training_contents
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        null as examples,
        null as contents,
        struct(wish_count, newest_read_known_us) as staging
    from gate_staging
),

tenants as (
    select
        tenant_id,
        first(examples, true) as examples,
        first(contents, true) as contents,
        first(staging, true) as staging
    from totals
    group by tenant_id
),

figures as (
    select
        tenants.tenant_id,
        coalesce(staging.wish_count, 0) as wish_count,
        coalesce(examples.row_count, 0) as example_count,
        coalesce(examples.positive_count, 0) as positive_count,
        coalesce(contents.positive_count, 0) as counted_positive_count,
        coalesce(examples.sampled_negative_count, 0) as sampled_negative_count,
        coalesce(examples.explicit_negative_count, 0) as explicit_negative_count,
        coalesce(examples.duplicate_count, 0) as duplicate_example_count,
        coalesce(examples.missing_id_count, 0) as missing_id_count,
        coalesce(examples.wrong_label_count, 0) as wrong_label_count,
        coalesce(contents.shortfall_count, 0) as shortfall_count,
        (staging.newest_read_known_us - contents.newest_known_us) / 3.6e9 as behind_hours,
        coalesce(
            settings.negatives_per_positive, :negatives_per_positive
        ) as negatives_per_positive
    from tenants
    left join gate_tenants as settings
        on tenants.tenant_id = settings.tenant_id
)

select
    *,
    negatives_per_positive * positive_count - shortfall_count as promised_negative_count,
    shortfall_count / nullif(negatives_per_positive * positive_count, 0) as shortfall_share,
    explicit_negative_count
    / nullif(positive_count + explicit_negative_count, 0) as explicit_negative_share
from figures
