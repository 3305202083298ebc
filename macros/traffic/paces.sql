{% macro paces(history, interactions, tied) -%}
    {#-
    CTE `paces`: how fast and how evenly each user went up to each of their times (`paced_moments`), with `agent_count`.
    `history`, `user_feature_history`, has it, but for users that devices are tied to: there what a device did is at
    the moment when its tie was known, a burst that nobody made. The paces of the tenants `tied` are made of `interactions`,
    at the times at which they happened.
    -#}
    {%- set columns -%}
        tenant_id,
        user_hash,
        user_id,
        interaction_count,
        agent_count,
        interactions_1h,
        interval_variation
    {%- endset -%}
    {%- if tied -%}
acted_moments as (
    select
        tenant_id,
        user_hash,
        user_id,
        event_time,
        count(*) as interaction_count,
        count_if(is_agent) as agent_count
    from {{ interactions }}
    where {{ of_clickstream_tenants(tied) }}
    group by tenant_id, user_hash, user_id, event_time
),

{{ paced_moments('acted_moments') }},

    {% endif -%}
paces as (
    select
        {{ columns }},
        as_of
    from {{ history }}
    {%- if tied %}
    where not {{ of_clickstream_tenants(tied) }}
    union all
    select
        {{ columns }},
        event_time as as_of
    from paced_moments
    {%- endif %}
)
{%- endmacro %}
