-- one row per positive and draw: an item the user could have met then and does not know
{{ config(
    unique_key=['tenant_id', 'user_id', 'positive_item_id', 'draw_index'],
    stats_columns=['event_time']
) }}
{% set scope = change_scope(
    reads={
        'positives': ['user_id'],
        'stg_interactions': ['user_id'],
        'stg_tenant_settings': []
    },
    since={'item_availability': 'available_at'},
    time='event_time',
    users_of='positives',
    parameters=training_parameters()
) %}
with

positives as (
    select
        *,
        date_trunc('hour', event_time) as event_hour
    from {{ ref('positives') }}
    where {{ in_scope(scope, since='event_time') }}
),

known_items as (
    select distinct
        tenant_id,
        user_id,
        item_id
    from {{ ref('stg_interactions') }}
    where
        {{ in_tenants(scope) }}
        and {{ known_by_cutoff() }}
        and {{ has_user_in('positives', scope) }}
),

item_availability as (
    select * from {{ ref('item_availability') }}
    where {{ in_tenants(scope) }}
),

{{ sampling_ranks('positives', 'known_items', 'item_availability') }},

{{ eligible_counts('positives', 'available_counts', 'known_ranks') }},

{{ draws('eligible_counts') }},

{{ drawn_ranks('draws', 'known_ranks') }},

sampled_negatives as (
    select
        drawn_ranks.tenant_id,
        drawn_ranks.user_id,
        ranked_items.item_id,
        drawn_ranks.positive_item_id,
        drawn_ranks.draw_index,
        drawn_ranks.eligible_count,
        drawn_ranks.sampling_probability,
        drawn_ranks.event_time
    from drawn_ranks
    inner join ranked_items
        on
            drawn_ranks.tenant_id = ranked_items.tenant_id
            and drawn_ranks.item_rank = ranked_items.item_rank
)

select * from sampled_negatives
