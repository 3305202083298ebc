-- one row per tenant: a fingerprint of its training set, its sizes and what it was made with
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(
    reads={'training_users': [], 'stg_interactions': [], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
with

totals as (
    select
        tenant_id,
        {{ hash_modulus('sum(hash_sum_a)') }} as hash_sum_a,
        {{ hash_modulus('sum(hash_sum_b)') }} as hash_sum_b,
        sum(positive_count) as positive_count,
        sum(sampled_negative_count) as sampled_negative_count,
        sum(explicit_negative_count) as explicit_negative_count,
        sum(shown_negative_count) as shown_negative_count,
        sum(positives_with_negatives_count) as positives_with_negatives_count,
        sum(liked_and_disliked_count) as liked_and_disliked_count
    from {{ ref('training_users') }}
    where {{ in_scope(scope) }}
    group by tenant_id
),

newest_interactions as (
    select
        tenant_id,
        max(known_at) as newest_known_at
    from {{ ref('stg_interactions') }}
    where {{ in_scope(scope) }} and {{ known_by_cutoff() }}
    group by tenant_id
),

training_contents as (
    select
        totals.tenant_id,
        concat(
            {{ hash_digits('totals.hash_sum_a') }}, {{ hash_digits('totals.hash_sum_b') }}
        ) as content_hash,
        totals.hash_sum_a,
        totals.hash_sum_b,
        array_join(sort_array({{ tenant_setting('positive_types') }}), ',') as positive_types,
        array_join(sort_array({{ tenant_setting('negative_types') }}), ',') as negative_types,
        cast({{ tenant_setting('seed') }} as bigint) as seed,
        {{ tenant_setting('negatives_per_positive') }} as negatives_per_positive,
        to_json(settings.event_types) as event_types,
        settings.half_life_days,
        settings.clickstream,
        int(get_json_object(settings.clickstream, '$.shown_negatives')) as shown_per_positive,
        if(settings.traffic like '%"leave_out":%', settings.traffic, null) as traffic,
        settings.negatives,
        totals.positive_count
        + totals.sampled_negative_count
        + totals.explicit_negative_count
        + totals.shown_negative_count as example_count,
        totals.positive_count,
        totals.sampled_negative_count,
        totals.explicit_negative_count,
        totals.shown_negative_count,
        {{ tenant_setting('negatives_per_positive') }} * totals.positive_count
        - totals.sampled_negative_count as shortfall_count,
        totals.positive_count
        - totals.positives_with_negatives_count as positives_without_negatives_count,
        totals.liked_and_disliked_count,
        newest_interactions.newest_known_at
    from totals
    left join newest_interactions
        on totals.tenant_id = newest_interactions.tenant_id
    left join {{ ref('stg_tenant_settings') }} as settings
        on totals.tenant_id = settings.tenant_id
)

select * from training_contents
