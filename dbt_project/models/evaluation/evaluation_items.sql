-- one row per item: what the training rows tell of it, and since when it could be recommended
{{ config(stats_columns=['available_at']) }}
with

splits as (
    select * from {{ ref('evaluation_splits') }}
    where {{ of_evaluated_tenants() }}
),

pairs as (
    select * from {{ ref('evaluation_pairs') }}
    where {{ of_evaluated_tenants() }}
),

catalogue as (
    select * from {{ ref('stg_items') }}
    where {{ known_by_cutoff() }} and {{ of_evaluated_tenants() }}
),

train_counts as (
    select
        tenant_id,
        item_id,
        max(item_train_count) as item_train_count,
        count_if(is_kept and split = 'train') as train_positive_count
    from {{ ref('evaluation_positives') }}
    group by tenant_id, item_id
),

sightings as (
    select
        tenant_id,
        item_id,
        cast(null as timestamp) as available_from,
        first_interaction_at as interacted_at,
        if(split = 'train', first_interaction_at, null) as trained_at,
        cast(null as timestamp) as catalogued_at
    from pairs
    union all
    select
        tenant_id,
        item_id,
        available_from,
        cast(null as timestamp) as interacted_at,
        cast(null as timestamp) as trained_at,
        known_at as catalogued_at
    from catalogue
),

availability as (
    select
        tenant_id,
        item_id,
        date_trunc(
            'hour', coalesce(min(available_from), min(interacted_at), min(catalogued_at))
        ) as available_at,
        date_trunc(
            'hour', coalesce(min(available_from), min(trained_at), min(catalogued_at))
        ) as train_available_at
    from sightings
    group by tenant_id, item_id
),

evaluation_items as (
    select
        availability.tenant_id,
        availability.item_id,
        coalesce(counts.train_positive_count, 0) as train_positive_count,
        coalesce(counts.item_train_count, 0) >= splits.minimum_item_positives as is_frequent,
        availability.available_at,
        availability.train_available_at
    from availability
    inner join splits on availability.tenant_id = splits.tenant_id
    left join train_counts as counts
        on
            availability.tenant_id = counts.tenant_id
            and availability.item_id = counts.item_id
)

select * from evaluation_items
