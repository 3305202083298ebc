{% macro pair_labels(
    interactions, key=['tenant_id', 'user_id', 'item_id'], labelled_only=true, settings=none
) -%}
    {#-
    CTE `pair_labels`: one row per `key`, without `labelled_only` even if no interaction is of a positive
    or negative type: the first of each (ties by event id) and the strongest positive. The key begins with tenant,
    user and item; what follows divides a pair's interactions into several rows.
    -#}
labelled as (
    select
        interactions.{{ key | join(',\n        interactions.') }},
        struct(
            interactions.event_time, interactions.event_id, interactions.interaction_type
        ) as event,
        {{ interaction_strength('interactions.interaction_type') }} as strength,
        array_contains(
            {{ tenant_setting('positive_types') }}, interactions.interaction_type
        ) as is_positive,
        array_contains(
            {{ tenant_setting('negative_types') }}, interactions.interaction_type
        ) as is_negative
    from {{ interactions }} as interactions
    left join {{ settings or ref('stg_tenant_settings') }} as settings
        on interactions.tenant_id = settings.tenant_id
),

pairs as (
    select
        {{ key | join(',\n        ') }},
        min(if(is_positive, event, null)) as positive,
        min(if(is_negative, event, null)) as negative,
        max(if(is_positive, strength, null)) as strongest
    from labelled
    where {{ 'is_positive or is_negative' if labelled_only else 'true' }}
    group by {{ key | join(', ') }}
),

pair_labels as (
    select
        {{ key | join(',\n        ') }},
        positive.event_id as positive_event_id,
        negative.event_id as negative_event_id,
        positive.interaction_type as positive_type,
        negative.interaction_type as negative_type,
        strongest.interaction_type as strongest_type,
        positive.event_time as positive_time,
        negative.event_time as negative_time
    from pairs
)
{%- endmacro %}
