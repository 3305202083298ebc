{% macro ranked_by_arrival(rows) -%}
    {#- CTE `ranked`: rows with their place among those of their event (`arrival_rank`, the first to arrive is 1). -#}
ranked as (
    select
        *,
        row_number() over (
            partition by tenant_id, event_id
            order by {{ arrival() }}
        ) as arrival_rank
    from {{ rows }}
)
{%- endmacro %}
