{% macro drawn_negatives(pairs, item_availability, times, time, settings, scope, uses) -%}
    {#-
    CTE `drawn_negatives`: the negatives of all tenants of the scope, with `negative_strategy` and `drawn_popularity`:
    `sampled_negatives` of those that draw uniformly, `mixed_negatives` of those with shares of other strategies, if
    there are any (`uses.shares`; see `event_type_uses`). The other arguments are those of `sampled_negatives`.
    -#}
    {%- set carried = ['type_weight'] if uses.own else [] -%}
{% if uses.shares -%}
uniform_pairs as (
    select * from {{ pairs }}
    where tenant_id not in (select tenant_id from {{ settings }} where {{ has_other_shares() }})
),

{{ mixed_negatives(pairs, sampling_slots(scope), times, time, settings, uses.category, carried) }},

{% endif -%}
{{ sampled_negatives(
    'uniform_pairs' if uses.shares else pairs, item_availability, times, time, settings, carried
) }},

drawn_negatives as (
    {{- negatives_of('sampled_negatives', uses.own) }}
    {%- if uses.shares %}
    union all
    {{- negatives_of('mixed_negatives', uses.own, 'negative_strategy', 'drawn_popularity') }}
    {%- endif %}
)
{%- endmacro %}


{% macro negatives_of(
    relation, is_weighted, strategy="'uniform'", popularity='cast(null as bigint)'
) %}
    select
        tenant_id,
        user_id,
        item_id,
        positive_item_id,
        draw_index,
        {{ strategy }} as negative_strategy,
        {{ 'type_weight' if is_weighted else '1.0d as type_weight' }},
        eligible_count,
        {{ popularity }} as drawn_popularity,
        sampling_probability,
        event_time
    from {{ relation }}
{%- endmacro %}
