-- one row per item with interactions
{{ config(unique_key=['tenant_id', 'item_id'], rewrite_rows=10000000) }}
-- An item with a new or changed row has its newest there or later; one that lost a row, anywhere.
{% set scope = change_scope(
    reads={'item_feature_history': ['item_id']},
    floor={'as_of': "if(_change_type = 'delete', " ~ always() ~ ', as_of)'},
    parameters=cutoff_parameter()
) %}
with

item_feature_history as (
    select * from {{ ref('item_feature_history') }}
    where {{ in_scope(scope) }}{{ is_above_floor(scope) }}
),

ranked as (
    select
        *,
        row_number() over (partition by tenant_id, item_id order by as_of desc) as newness
    from item_feature_history
),

item_features as (
    select
        tenant_id,
        item_id,
        {{ feature_columns('item') }},
        as_of
    from ranked
    where newness = 1
)

select * from item_features
