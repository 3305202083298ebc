{% macro pairs_with_weighted_draws(name, pairs, scope) -%}
    {#-
    CTE `name`: the pairs with the `weighted_draws` of each positive, in the order of `draw_index`: null for pairs
    without, and no column at all where no tenant has shares for any.
    -#}
    {%- if uses_weighted_draws() %}
weighted_draws as (
    select
        tenant_id,
        user_id,
        positive_item_id,
        sort_array(collect_list(struct(
            draw_index,
            eligible_position,
            negative_strategy,
            sampling_probability,
            drawn_popularity
        ))) as weighted_draws
    from {{ rows_in_scope('weighted_negatives', scope) }}
    group by tenant_id, user_id, positive_item_id
),

{{ name }} as (
    select
        pairs.*,
        weighted_draws.weighted_draws
    from {{ pairs }} as pairs
    left join weighted_draws
        on
            pairs.tenant_id = weighted_draws.tenant_id
            and pairs.user_id = weighted_draws.user_id
            and pairs.item_id = weighted_draws.positive_item_id
)
    {%- else %}
{{ name }} as (
    select * from {{ pairs }}
)
    {%- endif %}
{%- endmacro %}
