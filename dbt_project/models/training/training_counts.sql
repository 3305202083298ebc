-- one row per tenant: what its training set holds, and what could not be drawn
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(
    reads={
        'positives': [],
        'sampled_negatives': [],
        'explicit_negatives': [],
        'stg_tenant_settings': []
    },
    parameters=training_parameters()
) %}
with

examples as (
    select
        tenant_id,
        'positive' as kind,
        has_dislike,
        0 as draw_index
    from {{ ref('positives') }}
    where {{ in_scope(scope) }}
    union all
    select
        tenant_id,
        'sampled' as kind,
        false as has_dislike,
        draw_index
    from {{ ref('sampled_negatives') }}
    where {{ in_scope(scope) }}
    union all
    select
        tenant_id,
        'explicit' as kind,
        false as has_dislike,
        0 as draw_index
    from {{ ref('explicit_negatives') }}
    where {{ in_scope(scope) }}
),

totals as (
    select
        tenant_id,
        count_if(kind = 'positive') as positive_count,
        count_if(kind = 'sampled') as sampled_negative_count,
        count_if(kind = 'explicit') as explicit_negative_count,
        count_if(has_dislike) as liked_and_disliked_count,
        -- every positive with a negative has one at the first place
        count_if(kind = 'sampled' and draw_index = 1) as positives_with_negatives_count
    from examples
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
