{% macro popularity_weight(popularity) -%}
    {#-
    The weight of an item in draws by popularity, a whole number: popularity ^ alpha in units of 2^-16. Whole, so
    that sums are exact in any order.
    -#}
    cast(round(pow({{ popularity }}, coalesce(settings.popularity_alpha, 0)) * 65536) as bigint)
{%- endmacro %}


{% macro popularity_step(count) -%}
    {#-
    A whole number from 1 on, rounded down to its first two binary digits: 1, 2, 3, 4, 6, 8, 12, 16, 24, …. So an
    item's weight changes twice per doubling, and what a user knows is a few steps and not all their events.
    -#}
    {%- set shift = 'greatest(length(bin(' ~ count ~ ')) - 2, 0)' -%}
    shiftleft(shiftright({{ count }}, {{ shift }}), {{ shift }})
{%- endmacro %}


{% macro has_other_shares() -%}
    {#- A condition on a tenant's settings: not all of its negatives are drawn uniformly. -#}
    {{ return('popularity_share + category_share > 0') }}
{%- endmacro %}
