-- one row per tenant: a fingerprint of its evaluation snapshot, its split and what it holds
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

evaluation_data as (
    select
        *,
        {{ example_text(
            more=['split', 'is_cold_user', 'is_cold_item'], has_weights=false
        ) }} as example_text
    from {{ ref('evaluation_data') }}
    where {{ of_evaluated_tenants() }}
),

contents as (
    select
        tenant_id,
        {{ content_hash('example_text') }} as content_hash,
        count(*) as example_count,
        count_if(split = 'train' and label = 1) as train_positive_count,
        count_if(negative_type = 'sampled') as sampled_negative_count,
        count_if(negative_type = 'explicit') as explicit_negative_count,
        count_if(split = 'validation') as validation_count,
        count_if(split = 'test') as test_count,
        count_if(split != 'train' and is_cold_user) as cold_user_count,
        count_if(split != 'train' and is_cold_item) as cold_item_count,
        count_if(draw_index = 1) as drawn_count
    from evaluation_data
    group by tenant_id
),

train_pairs as (
    select
        tenant_id,
        count_if(positive_event_id is not null) as train_positive_count,
        count_if(positive_event_id is not null and negative_type is not null) as disliked_count
    from {{ ref('evaluation_pairs') }}
    where split = 'train' and {{ of_evaluated_tenants() }}
    group by tenant_id
),

newest_interactions as (
    select
        tenant_id,
        max(known_at) as newest_known_at
    from {{ ref('stg_interactions') }}
    where {{ known_by_cutoff() }} and {{ of_evaluated_tenants() }}
    group by tenant_id
),

evaluation_contents as (
    select
        contents.tenant_id,
        contents.content_hash,
        splits.method,
        array_join(sort_array({{ tenant_setting('positive_types') }}), ',') as positive_types,
        array_join(sort_array({{ tenant_setting('negative_types') }}), ',') as negative_types,
        splits.train_share,
        splits.validation_share,
        splits.minimum_user_positives,
        splits.minimum_item_positives,
        cast({{ tenant_setting('seed') }} as bigint) as seed,
        {{ tenant_setting('negatives_per_positive') }} as negatives_per_positive,
        contents.example_count,
        contents.train_positive_count,
        contents.sampled_negative_count,
        contents.explicit_negative_count,
        contents.validation_count,
        contents.test_count,
        contents.cold_user_count,
        contents.cold_item_count,
        coalesce(train_pairs.train_positive_count, 0)
        - contents.train_positive_count as infrequent_count,
        contents.train_positive_count * {{ tenant_setting('negatives_per_positive') }}
        - contents.sampled_negative_count as shortfall_count,
        contents.train_positive_count
        - contents.drawn_count as positives_without_negatives_count,
        coalesce(train_pairs.disliked_count, 0) as liked_and_disliked_count,
        splits.train_until,
        splits.validation_until,
        newest_interactions.newest_known_at
    from contents
    inner join splits on contents.tenant_id = splits.tenant_id
    left join train_pairs on contents.tenant_id = train_pairs.tenant_id
    left join newest_interactions on contents.tenant_id = newest_interactions.tenant_id
    left join {{ ref('stg_tenant_settings') }} as settings
        on contents.tenant_id = settings.tenant_id
)

select * from evaluation_contents
