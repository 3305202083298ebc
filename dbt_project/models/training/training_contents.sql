-- one row per tenant: a fingerprint of its training set and what it was made with
{{ config(unique_key=['tenant_id'], change_feed=false, deletion_vectors=false) }}
{% set scope = change_scope(
    reads={'training_data': [], 'stg_interactions': [], 'stg_tenant_settings': []},
    parameters=training_parameters()
) %}
{% set continued = continued_tenants(scope) %}
with

examples as (
    {{ weighted_examples(scope, continued) }}
),

named as (
    select
        tenant_id,
        label,
        negative_type,
        weight,
        {{ row_text([
            'tenant_id',
            'user_id',
            'item_id',
            'anchor_item_id',
            'draw_index',
            'interaction_type',
            'negative_type',
            'cast(label * 1e18d as bigint)',
            'cast(sampling_probability * 1e18d as bigint)',
            'unix_micros(event_time)',
        ]) }} as example_text
    from examples
),

shares as (
    select
        tenant_id,
        sum(weight * {{ row_hash('a', 'example_text') }}) as hash_sum_a,
        sum(weight * {{ row_hash('b', 'example_text') }}) as hash_sum_b,
        sum(weight) as example_count,
        sum(if(label = 1, weight, 0)) as positive_count,
        sum(if(negative_type = 'sampled', weight, 0)) as sampled_negative_count,
        sum(if(negative_type = 'explicit', weight, 0)) as explicit_negative_count
    from named
    group by tenant_id
    {{ continued_totals(scope, continued, [
        'hash_sum_a',
        'hash_sum_b',
        'example_count',
        'positive_count',
        'sampled_negative_count',
        'explicit_negative_count'
    ]) }}
),

totals as (
    select
        tenant_id,
        {{ hash_modulus('sum(hash_sum_a)') }} as hash_sum_a,
        {{ hash_modulus('sum(hash_sum_b)') }} as hash_sum_b,
        sum(example_count) as example_count,
        sum(positive_count) as positive_count,
        sum(sampled_negative_count) as sampled_negative_count,
        sum(explicit_negative_count) as explicit_negative_count
    from shares
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
        totals.example_count,
        totals.positive_count,
        totals.sampled_negative_count,
        totals.explicit_negative_count,
        {{ counted_version(scope) }} as counted_version,
        newest_interactions.newest_known_at
    from totals
    left join newest_interactions
        on totals.tenant_id = newest_interactions.tenant_id
    left join {{ ref('stg_tenant_settings') }} as settings
        on totals.tenant_id = settings.tenant_id
    where totals.example_count > 0
)

select * from training_contents
