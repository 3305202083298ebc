{% macro category_spans(scope, settings, item_availability) -%}
    {#-
    When items belong to categories, to select from: one row per item and span of one category, of tenants that draw
    from categories. Times are microseconds since 1970: a span is in force from `in_force_us` on, and items of
    it can be drawn from `start_us` on (null: never), both until before `end_us` (null: still). As everywhere
    (`enriched_interactions`) a catalogue row counts strictly after its time.
    -#}
    {%- set select -%}
        with

        tenant_settings as (
            select * from {{ settings }}
            where category_share > 0
        ),

        items as (
            select * from {{ rows_in_scope('stg_items', scope, known_by_cutoff(), of_tenants=true) }}
            where tenant_id in (select tenant_id from tenant_settings)
        ),

        versions as (
            select
                tenant_id,
                item_id,
                {{ carried('category') }} as category,
                updated_at as valid_from,
                lead(updated_at) over in_order as valid_until
            from items
            window
                in_order as (
                    partition by tenant_id, item_id
                    order by updated_at, {{ arrival() }}, event_id
                ),
                so_far as (
                    partition by tenant_id, item_id
                    order by updated_at, {{ arrival() }}, event_id
                    rows between unbounded preceding and current row
                )
        ),

        compared as (
            select
                *,
                lag(category) over (
                    partition by tenant_id, item_id order by valid_from
                ) as earlier_category
            from versions
            -- a version that another one replaced at the same time never was in force
            where not valid_from <=> valid_until
        ),

        changes as (
            select
                tenant_id,
                item_id,
                category,
                unix_micros(valid_from) + 1 as in_force_us,
                lead(unix_micros(valid_from) + 1) over (
                    partition by tenant_id, item_id order by valid_from
                ) as end_us
            from compared
            where not category <=> earlier_category
        ),

        spans as (
            select
                changes.*,
                greatest(
                    changes.in_force_us, unix_micros(availability.available_at)
                ) as available_us
            from changes
            inner join {{ item_availability }} as availability
                on
                    changes.tenant_id = availability.tenant_id
                    and changes.item_id = availability.item_id
            where changes.category is not null
        )

        select
            tenant_id,
            item_id,
            category,
            in_force_us,
            if(available_us >= end_us, null, available_us) as start_us,
            end_us
        from spans
    {%- endset -%}
    {{ return(kept_rows(scope, 'category_spans', select)) }}
{%- endmacro %}
