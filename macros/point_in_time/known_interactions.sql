{% macro known_interactions(interactions, has_identity) -%}
    {#-
    CTE `known_interactions`: interactions, with `has_identity` those that are their user's by a tie at the time
    at which that was known; when it happened is `acted_at`, and the first of a pair is the first that was known.
    -#}
known_interactions as (
    {%- if has_identity %}
    select
        * except (event_time, is_first_of_pair),
        event_time as acted_at,
        coalesce(attributed_at, event_time) as event_time,
        row_number() over (
            partition by tenant_id, user_id, item_id
            order by coalesce(attributed_at, event_time), event_time, event_id
        ) = 1 as is_first_of_pair
    from {{ interactions }}
    {%- else %}
    select * from {{ interactions }}
    {%- endif %}
)
{%- endmacro %}
