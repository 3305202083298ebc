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
    item's weight changes twice per doubling, and a line is short.
    -#}
    {%- set shift = 'greatest(length(bin(' ~ count ~ ')) - 2, 0)' -%}
    shiftleft(shiftright({{ count }}, {{ shift }}), {{ shift }})
{%- endmacro %}


{% macro sampling_settings(settings) -%}
    {#- CTE `sampling_settings`: of each tenant whose negatives are not all drawn uniformly, its shares. -#}
sampling_settings as (
    select
        tenant_id,
        coalesce(told.popularity, 0) as popularity_share,
        coalesce(told.category, 0) as category_share,
        told.popularity_alpha,
        {{ tenant_setting('negatives_per_positive') }} as negatives_per_positive,
        {{ tenant_setting('seed') }} as seed
    from (
        select
            *,
            from_json(
                negatives, 'struct<popularity: int, category: int, popularity_alpha: double>'
            ) as told
        from {{ settings }}
        where negatives is not null
    ) as settings
)
{%- endmacro %}
