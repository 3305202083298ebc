-- one row per tenant with new rows
{{ config(materialized='ephemeral') }}
{% set scope = change_scope(
    'training_contents',
    reads=['training_data', 'stg_interactions'],
    parameters=training_parameters()
) %}
with

training_data as (
    select
        tenant_id,
        label,
        negative_type,
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
    from {{ ref('training_data') }}
    where {{ in_scope(scope) }}
),

contents as (
    select
        tenant_id,
        {{ content_hash('example_text') }} as content_hash,
        count(*) as example_count,
        count_if(label = 1) as positive_count,
        count_if(negative_type = 'sampled') as sampled_negative_count,
        count_if(negative_type = 'explicit') as explicit_negative_count
    from training_data
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
        contents.tenant_id,
        contents.content_hash,
        array_join(sort_array({{ tenant_setting('positive_types') }}), ',') as positive_types,
        array_join(sort_array({{ tenant_setting('negative_types') }}), ',') as negative_types,
        cast({{ tenant_setting('seed') }} as bigint) as seed,
        {{ tenant_setting('negatives_per_positive') }} as negatives_per_positive,
        contents.example_count,
        contents.positive_count,
        contents.sampled_negative_count,
        contents.explicit_negative_count,
        newest_interactions.newest_known_at
    from contents
    left join newest_interactions
        on contents.tenant_id = newest_interactions.tenant_id
    left join {{ ref('stg_tenant_settings') }} as settings
        on contents.tenant_id = settings.tenant_id
)

{{ with_tombstones('training_contents', scope, key=['tenant_id']) }}
