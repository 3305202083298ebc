-- a row is an example on the wrong side of a boundary
select
    examples.tenant_id,
    examples.user_id,
    examples.item_id,
    examples.split
from {{ ref('evaluation_data') }} as examples
inner join {{ ref('evaluation_splits') }} as splits
    on examples.tenant_id = splits.tenant_id
where
    {{ of_evaluated_tenants('examples') }}
    and splits.method = 'time'
    and not coalesce(
        case examples.split
            when 'train' then examples.event_time < splits.train_until
            when 'validation'
                then
                    examples.event_time >= splits.train_until
                    and examples.event_time < splits.validation_until
            else examples.event_time >= splits.validation_until
        end,
        false
    )
