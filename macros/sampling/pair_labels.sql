{% macro pair_labels(
    interactions,
    key=['tenant_id', 'user_id', 'item_id'],
    labelled_only=true,
    settings=none,
    uses=none,
    undone_within=[]
) -%}
    {#-
    CTE `pair_labels`: one row per `key`, without `labelled_only` even if no interaction is of a positive
    or negative type: the first of each (ties by event id), the strongest positive, and `type_weight`, the greatest
    of that type's interactions, of a pair without a positive that of its first negative. The key begins with tenant,
    user and item; what follows divides a pair's interactions into several rows. An interaction that a later one undoes
    is neither positive nor negative; both have to be of one row, with `undone_within` of one pair and equal in its
    columns. `uses`: see `event_type_uses`; without it ratings are not read.
    -#}
    {%- set settings = settings or ref('stg_tenant_settings') -%}
    {%- set uses = uses or merged(event_type_uses(), {'values': false}) -%}
    {%- set weight = type_weight('interactions', uses['values']) -%}
labelled as (
    select
        interactions.{{ key | join(',\n        interactions.') }},
        struct(
            interactions.event_time,
            interactions.event_id,
            interactions.interaction_type
            {%- if uses.own %},
            {{ weight }} as type_weight
            {%- endif %}
        ) as event,
        struct(
            {{ interaction_strength('interactions.interaction_type', uses.own) }} as strength,
            interactions.interaction_type as interaction_type
            {%- if uses.own %},
            {{ weight }} as type_weight
            {%- endif %}
        ) as strength,
        {%- if uses.undoes %}
        {{ type_setting('undoes', 'interactions.interaction_type') }} as undone_type,
        {{- further(undone_within, 'interactions') }}
        {%- endif %}
        array_contains(
            {{ tenant_setting('positive_types') }}, interactions.interaction_type
        ) as is_positive,
        array_contains(
            {{ tenant_setting('negative_types') }}, interactions.interaction_type
        ) as is_negative
    from {{ interactions }} as interactions
    left join {{ settings }} as settings
        on interactions.tenant_id = settings.tenant_id
),

{% if uses.undoes -%}
{{ standing_labels('labelled', key, key[:3] + undone_within if undone_within else key) }},

{% endif -%}
pairs as (
    select
        {{ key | join(',\n        ') }},
        min(if(is_positive, event, null)) as positive,
        min(if(is_negative, event, null)) as negative,
        max(if(is_positive, strength, null)) as strongest
    from {{ 'standing_labels' if uses.undoes else 'labelled' }}
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
        {{ 'coalesce(strongest.type_weight, negative.type_weight, 1.0d)' if uses.own else '1.0d' }} as type_weight,
        positive.event_time as positive_time,
        negative.event_time as negative_time
    from pairs
)
{%- endmacro %}


{% macro standing_labels(labelled, key, within) -%}
    {#-
    CTE `standing_labels`: the rows of `labelled`, of which those are neither positive nor negative that an interaction
    at a later time, equal in the columns `within`, undoes. Where these are the `key`, which the rows are grouped by
    next, they are shuffled and sorted once for both.
    -#}
undoings as (
    select
        *,
        collect_list(
            if(undone_type is null, null, struct(undone_type, event.event_time as undone_at))
        ) over (partition by {{ within | join(', ') }}) as pair_undoings
    from {{ labelled }}
),

marked_labels as (
    select
        *,
        exists(
            pair_undoings,
            undoing ->
            undoing.undone_type = event.interaction_type and undoing.undone_at > event.event_time
        ) as is_undone
    from undoings
),

standing_labels as (
    select
        {{ key | join(',\n        ') }},
        event,
        strength,
        is_positive and not is_undone as is_positive,
        is_negative and not is_undone as is_negative
    from marked_labels
)
{%- endmacro %}
