-- one row per tenant with new rows
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'training_counts',
    reads=['positives', 'sampled_negatives', 'explicit_negatives'],
    parameters=training_parameters()
) %}
with

drawn as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        count(*) as drawn_count
    from {{ ref('sampled_negatives') }}
    where {{ in_scope(scope) }}
    group by tenant_id, user_id, positive_item_id
),

positives as (
    select
        positives.tenant_id,
        positives.has_dislike,
        coalesce(drawn.drawn_count, 0) as drawn_count,
        {{ tenant_setting('negatives_per_positive') }} as wanted_count
    from {{ ref('positives') }} as positives
    left join drawn
        on
            positives.tenant_id = drawn.tenant_id
            and positives.user_id = drawn.user_id
            and positives.item_id = drawn.positive_item_id
    left join {{ ref('stg_tenant_settings') }} as settings
        on positives.tenant_id = settings.tenant_id
    where {{ in_scope(scope, 'positives') }}
),

explicit_negatives as (
    select
        tenant_id,
        count(*) as explicit_negative_count
    from {{ ref('explicit_negatives') }}
    where {{ in_scope(scope) }}
    group by tenant_id
),

positive_totals as (
    select
        tenant_id,
        count(*) as positive_count,
        sum(drawn_count) as sampled_negative_count,
        sum(wanted_count - drawn_count) as shortfall_count,
        count_if(drawn_count = 0) as positives_without_negatives_count,
        count_if(has_dislike) as liked_and_disliked_count
    from positives
    group by tenant_id
),

training_counts as (
    select
        coalesce(totals.tenant_id, negatives.tenant_id) as tenant_id,
        coalesce(totals.positive_count, 0) as positive_count,
        coalesce(totals.sampled_negative_count, 0) as sampled_negative_count,
        coalesce(negatives.explicit_negative_count, 0) as explicit_negative_count,
        coalesce(totals.shortfall_count, 0) as shortfall_count,
        coalesce(
            totals.positives_without_negatives_count, 0
        ) as positives_without_negatives_count,
        coalesce(totals.liked_and_disliked_count, 0) as liked_and_disliked_count
    from positive_totals as totals
    full outer join explicit_negatives as negatives
        on totals.tenant_id = negatives.tenant_id
)

{{ with_tombstones('training_counts', scope, key=['tenant_id']) }}
