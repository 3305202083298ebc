{% macro earlier_counts(interactions) -%}
    {#- CTE `earlier_counts`: per user and time of an interaction, how many were strictly before it. -#}
earlier_counts as (
    select distinct
        tenant_id,
        user_id,
        event_time,
        count(*) over (
            partition by tenant_id, user_id
            order by event_time
            range between unbounded preceding and interval 1 microsecond preceding
        ) as earlier_count
    from {{ interactions }}
)
{%- endmacro %}
