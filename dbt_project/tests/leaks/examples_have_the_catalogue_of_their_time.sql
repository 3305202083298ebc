-- a row is an example whose item has other values than the catalogue had strictly before its event
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'an attribute of an item that was known later than the event, or is missing on one label only'}
) }}
with

examples as (
    select
        tenant_id,
        item_id,
        item_category,
        item_price,
        transform(map_entries(item_texts), one -> struct(one.key, one.value)) as item_texts,
        size(item_numbers) as item_number_count,
        event_time
    from {{ ref('training_examples') }}
    where {{ of_this_runs_tenant() }}
),

versions as (
    select
        *,
        transform(chosen_attributes, one -> struct(one.name, one.text)) as texts,
        size(filter(chosen_attributes, one -> one.number is not null)) as number_count
    from {{ ref('item_history') }}
    where not valid_from <=> valid_until and {{ of_this_runs_tenant() }}
)

select
    examples.tenant_id,
    examples.event_time
from examples
left join versions
    on
        examples.tenant_id = versions.tenant_id
        and examples.item_id = versions.item_id
        and examples.event_time > versions.valid_from
        and (versions.valid_until is null or examples.event_time <= versions.valid_until)
where
    not (
        examples.item_category <=> versions.category
        and examples.item_price <=> versions.price
        and examples.item_texts <=> versions.texts
        and examples.item_number_count <=> versions.number_count
    )
