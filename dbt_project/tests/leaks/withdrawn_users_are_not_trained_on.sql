-- a row is a user in a training table who has withdrawn the consent to that
{{ config(
    tags=['leak'], enabled=var('audit', false),
    meta={'trap': 'consent withdrawn but trained on'}
) }}
with

words as (
    select
        tenant_id,
        user_id,
        get_json_object(consent, '$.training') as word,
        updated_at as said_at,
        least(updated_at, known_at) as counts_at
    from {{ ref('stg_users') }}
    where {{ of_this_runs_tenant() }}
),

-- no, and no yes of a later time
withdrawn as (
    select words.*
    from words
    left anti join words as later
        on
            words.tenant_id = later.tenant_id
            and words.user_id = later.user_id
            and words.said_at < later.counts_at
            and later.word = 'true'
    where words.word = 'false'
),

trained_on as (
    select
        tenant_id,
        user_id
    from {{ ref('training_data') }}
    union
    select
        tenant_id,
        user_id
    from {{ ref('training_examples') }}
    union
    select
        tenant_id,
        user_id
    from {{ ref('user_histories') }}
)

select
    trained_on.tenant_id,
    trained_on.user_id
from trained_on
left semi join withdrawn
    on
        trained_on.tenant_id = withdrawn.tenant_id
        and trained_on.user_id = withdrawn.user_id
