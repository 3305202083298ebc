-- a row is a user of whom not the last positives were left out, or more than one each
with

users as (
    select
        examples.tenant_id,
        examples.user_id,
        max(if(examples.split = 'train', examples.event_time, null)) as train_ends_at,
        max(if(examples.split = 'validation', examples.event_time, null)) as validated_at,
        max(if(examples.split = 'test', examples.event_time, null)) as tested_at,
        count_if(examples.split = 'validation') as validation_count,
        count_if(examples.split = 'test') as test_count
    from {{ ref('evaluation_data') }} as examples
    inner join {{ ref('evaluation_splits') }} as splits
        on examples.tenant_id = splits.tenant_id
    where {{ of_evaluated_tenants('examples') }} and splits.method = 'leave_one_out'
    group by examples.tenant_id, examples.user_id
)

select * from users
where
    test_count > 1
    or validation_count > test_count
    or train_ends_at > least(validated_at, tested_at)
    or validated_at > tested_at
