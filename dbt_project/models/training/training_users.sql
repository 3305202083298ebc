-- one row per user with examples: their number, and the user's share of the content hash
{{ config(unique_key=['tenant_id', 'user_id']) }}
{% set scope = change_scope(
    replaces_users=true,
    reads={'training_data': ['user_hash']},
    parameters=training_parameters()
) %}
with

named as (
    select
        *,
        {{ example_text() }} as example_text
    from {{ rows_in_scope('training_data', scope) }}
),

training_users as (
    select
        tenant_id,
        user_hash,
        user_id,
        {{ hash_modulus('sum(' ~ row_hash('a', 'example_text') ~ ')') }} as hash_sum_a,
        {{ hash_modulus('sum(' ~ row_hash('b', 'example_text') ~ ')') }} as hash_sum_b,
        count_if(label = 1) as positive_count,
        count_if(negative_type <=> 'sampled') as sampled_negative_count,
        count_if(negative_type <=> 'explicit') as explicit_negative_count,
        count_if(negative_type <=> 'shown') as shown_negative_count,
        count_if(has_dislike) as liked_and_disliked_count,
        -- every positive with a negative has one at the first place
        count_if(negative_type <=> 'sampled' and draw_index = 1) as positives_with_negatives_count
    from named
    group by tenant_id, user_hash, user_id
)

select * from training_users
