{% macro drawn_negatives(pairs, item_availability, times, time, settings, uses, kept=none) -%}
    {#-
    CTE `drawn_negatives`: the negatives of all tenants of the scope, with `negative_strategy` and `drawn_popularity`:
    `sampled_negatives` of those that draw uniformly, `mixed_negatives` of those with shares of other strategies, if
    there are any (`uses.shares`; see `event_type_uses`), with what `kept` has (see `kept_draws`). The other arguments
    are those of `sampled_negatives`.
    -#}
    {%- set carried = ['type_weight'] if uses.own else [] -%}
{% if uses.shares -%}
{{ refill_pairs(kept, carried) }},

sampled_pairs as (
    select
        tenant_id,
        user_id,
        item_id,
        positive_time,
        {{- further(carried) }}
        false as is_refill
    from {{ pairs }}
    where tenant_id not in (select tenant_id from {{ settings }} where negatives is not null)
    union all
    select * from refill_pairs
),

{{ sampled_negatives(
    'sampled_pairs', item_availability, pairs, 'positive_time', settings,
    carried + ['is_refill'], in_turn='is_refill'
) }},

{{ mixed_negatives(kept, pairs, settings, carried) }},
{%- else -%}
{{ sampled_negatives(pairs, item_availability, times, time, settings, carried) }},
{%- endif %}

drawn_negatives as (
    {{- negatives_of('sampled_negatives', uses.own) }}
    {%- if uses.shares %}
    where not is_refill
    union all
    {{- negatives_of('mixed_negatives', uses.own, 'negative_strategy', 'drawn_popularity') }}
    {%- endif %}
)
{%- endmacro %}


{% macro kept_draws(interactions, settings, scope, uses) -%}
    {#-
    What a run with shares selects from in several places, kept in the session: all `pairs`, the lines (`slots`), the first
    `draws` and those that were `retried`. `interactions` and `settings` are rows to select from.
    -#}
    {%- set labels -%}
    with

    interactions as (
        select * from {{ interactions }}
    ),

    tenant_settings as (
        select * from {{ settings }}
    ),

    {{ pair_labels(
        'interactions', labelled_only=false, settings='tenant_settings', uses=uses
    ) }}

    select * from pair_labels
    {%- endset -%}
    {%- set pairs = kept_for_shares(scope, 'pair_labels', labels) -%}
    {%- set slots = sampling_slots(scope) -%}
    {%- set carried = ['type_weight'] if uses.own else [] -%}
    {%- set draws = mixed_draws(
        pairs, slots, settings, uses.category, carried
    ) -%}
    {%- set draws = kept_for_shares(scope, 'mixed_draws', draws) -%}
    {{ return({
        'pairs': pairs,
        'slots': slots,
        'draws': draws,
        'retried': kept_for_shares(
            scope, 'retried_draws', retried_draws(draws, slots, settings, carried)
        ),
    }) }}
{%- endmacro %}


{% macro kept_pairs(kept) -%}
pair_labels as (
    select * from {{ kept.pairs }}
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
