-- one row per tenant: what the training set holds, and what the sampler promised
with

rows as (
    select
        tenant_id,
        1 as example_count,
        cast(label <=> 1.0d as int) as positive_count,
        cast(negative_type <=> 'sampled' as int) as sampled_negative_count,
        cast(negative_type <=> 'explicit' as int) as explicit_negative_count,
        struct(user_id, anchor_item_id, draw_index) as example_key,
        cast(user_id is null or item_id is null or event_time is null as int) as missing_id_count,
        cast(
            not coalesce(
                label = if(negative_type is null, 1.0d, 0.0d)
                and (negative_type <=> 'sampled') = (sampling_probability is not null)
                and coalesce(sampling_probability, 1.0d) > 0.0d
                and coalesce(sampling_probability, 1.0d) <= 1.0d,
                false
            ) as int
        ) as wrong_label_count,
        0 as counted_positive_count,
        0 as shortfall_count,
        0 as wish_count
    from training.training_data
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        0 as example_count,
        0 as positive_count,
        0 as sampled_negative_count,
        0 as explicit_negative_count,
        null as example_key,
        0 as missing_id_count,
        0 as wrong_label_count,
        positive_count as counted_positive_count,
        shortfall_count,
        0 as wish_count
    from training.training_counts
    where :is_for_all or array_contains(:tenants, tenant_id)
    union all
    select
        tenant_id,
        0 as example_count,
        0 as positive_count,
        0 as sampled_negative_count,
        0 as explicit_negative_count,
        null as example_key,
        0 as missing_id_count,
        0 as wrong_label_count,
        0 as counted_positive_count,
        0 as shortfall_count,
        wish_count
    from gate_staging
),

totals as (
    select
        tenant_id,
        sum(wish_count) as wish_count,
        sum(example_count) as example_count,
        sum(positive_count) as positive_count,
        sum(counted_positive_count) as counted_positive_count,
        sum(sampled_negative_count) as sampled_negative_count,
        sum(explicit_negative_count) as explicit_negative_count,
        sum(example_count) - count(distinct example_key) as duplicate_example_count,
        sum(missing_id_count) as missing_id_count,
        sum(wrong_label_count) as wrong_label_count,
        sum(shortfall_count) as shortfall_count
    from rows
    group by tenant_id
),

promised as (
    select
        totals.*,
        coalesce(
            settings.negatives_per_positive, :negatives_per_positive
        ) as negatives_per_positive
    from totals
    left join gate_tenants as settings
        on totals.tenant_id = settings.tenant_id
)

select
    *,
    negatives_per_positive * positive_count - shortfall_count as promised_negative_count,
    shortfall_count / nullif(negatives_per_positive * positive_count, 0) as shortfall_share
from promised
