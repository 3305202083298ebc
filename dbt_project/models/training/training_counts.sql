-- one row per tenant: what its training set holds, and what could not be drawn
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(
    reads={'training_users': [], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
with

totals as (
    select
        tenant_id,
        sum(positive_count) as positive_count,
        sum(sampled_negative_count) as sampled_negative_count,
        sum(explicit_negative_count) as explicit_negative_count,
        sum(positives_with_negatives_count) as positives_with_negatives_count,
        sum(liked_and_disliked_count) as liked_and_disliked_count
    from {{ ref('training_users') }}
    where {{ in_scope(scope) }}
    group by tenant_id
),

training_counts as (
    select
        totals.tenant_id,
        totals.positive_count,
        totals.sampled_negative_count,
        totals.explicit_negative_count,
        {{ tenant_setting('negatives_per_positive') }} * totals.positive_count
        - totals.sampled_negative_count as shortfall_count,
        totals.positive_count
        - totals.positives_with_negatives_count as positives_without_negatives_count,
        totals.liked_and_disliked_count
    from totals
    left join {{ ref('stg_tenant_settings') }} as settings
        on totals.tenant_id = settings.tenant_id
)

select * from training_counts
