{% macro item_weights(scope, settings, item_availability) -%}
    {#-
    The weights of items, to select from: one row per item and moment (`counts_from`) from which another weight
    counts. `popularity` is the number of interactions before the day (UTC) that begins then; the weight is
    popularity ** alpha in units of 2^-20, a whole number, so that sums are exact whatever their order.
    `increment` is what the weight grew by: an item has no weight before it is available, and never loses any,
    so the weights of a moment are the increments up to it.
    -#}
    {%- set select -%}
        with

        tenant_settings as (
            select * from {{ settings }}
        ),

        counts as (
            select
                tenant_id,
                item_id,
                date_trunc('day', event_hour) + interval 1 day as counts_from,
                sum(interaction_count) as interaction_count,
                cast(null as timestamp) as available_at
            from {{ rows_in_scope('item_hours', scope, of_tenants=true) }}
            where tenant_id in (select tenant_id from tenant_settings)
            group by tenant_id, item_id, date_trunc('day', event_hour)
            union all
            -- an item begins with no interaction: 0 ** 0 is 1, any other power is 0
            select
                tenant_id,
                item_id,
                available_at as counts_from,
                0 as interaction_count,
                available_at
            from {{ item_availability }}
            where tenant_id in (select tenant_id from tenant_settings)
        ),

        popularities as (
            select
                tenant_id,
                item_id,
                counts_from,
                sum(interaction_count) over (
                    partition by tenant_id, item_id order by counts_from
                ) as popularity,
                max(available_at) over (partition by tenant_id, item_id) as available_at
            from counts
        ),

        weights as (
            select
                popularities.tenant_id,
                popularities.item_id,
                greatest(popularities.counts_from, popularities.available_at) as counts_from,
                max(popularities.popularity) as popularity,
                max(cast(round(
                    power(popularities.popularity, coalesce(settings.popularity_alpha, 1.0d)) * 1048576
                ) as bigint)) as weight
            from popularities
            inner join tenant_settings as settings
                on popularities.tenant_id = settings.tenant_id
            group by
                popularities.tenant_id,
                popularities.item_id,
                greatest(popularities.counts_from, popularities.available_at)
        )

        select
            *,
            weight - lag(weight, 1, 0L) over (
                partition by tenant_id, item_id order by counts_from
            ) as increment
        from weights
    {%- endset -%}
    {{ return(kept_rows(scope, 'item_weights', select)) }}
{%- endmacro %}
