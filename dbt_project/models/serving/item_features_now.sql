-- one row per item: features, and their age at the time of the query
with

item_features as (
    select * from {{ ref('item_features') }}
),

item_features_now as (
    select
        tenant_id,
        item_id,
        {{ feature_columns('item') }},
        timestampdiff(hour, as_of, current_timestamp()) as age_hours,
        as_of
    from item_features
)

select * from item_features_now
