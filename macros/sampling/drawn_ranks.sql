{% macro drawn_ranks(draws) -%}
    {#-
    CTE `drawn_ranks`: the rank of the item at each drawn position r, which is r + |{j : g_j <= r}|
    for the user's gap positions g_j. At a tie the gap comes first.
    -#}
counted_gaps as (
    select
        *,
        position + sum(is_known) over (
            partition by tenant_id, user_id
            order by position, is_known desc
            rows between unbounded preceding and current row
        ) as item_rank
    from {{ draws }}
),

drawn_ranks as (
    select * from counted_gaps
    where is_known = 0
)
{%- endmacro %}
