{% macro without_left_out_days(interactions, settings, tenants) -%}
    {#-
    CTE `trusted_interactions`: the rows of `interactions`, which has all rows known by the cutoff of its users. On a
    day (UTC) of which one moment is flagged as the tenant's settings leave out, a user's interactions have no
    type: they are known, and say nothing. `tenants`: those that leave something out, none for all
    (`traffic_tenants`); without any the rows are as they are.
    -#}
    {%- if tenants == [] -%}
trusted_interactions as (
    select * from {{ interactions }}
)
    {%- else -%}
traffic_moments as (
    select
        tenant_id,
        user_id,
        event_time,
        count(*) as interaction_count,
        count_if({{ names_an_agent('device_type') }}) as agent_count
    from {{ interactions }}
    where {{ of_clickstream_tenants(tenants) }}
    group by tenant_id, user_id, event_time
),

{{ paced_moments('traffic_moments') }},

left_out_days as (
    select distinct
        paced_moments.tenant_id as of_tenant_id,
        paced_moments.user_id as of_user_id,
        date_trunc('day', paced_moments.event_time) as of_day
    from paced_moments
    inner join {{ settings }} as settings
        on paced_moments.tenant_id = settings.tenant_id
    where
        arrays_overlap(
            {{ told_of_traffic('settings.traffic') }}.leave_out, {{ moment_flags() }}
        )
),

trusted_interactions as (
    select
        all_interactions.* except (interaction_type),
        if(left_out_days.of_day is null, all_interactions.interaction_type, null) as interaction_type
    from {{ interactions }} as all_interactions
    left join left_out_days
        on
            all_interactions.tenant_id = left_out_days.of_tenant_id
            and all_interactions.user_id = left_out_days.of_user_id
            and date_trunc('day', all_interactions.event_time) = left_out_days.of_day
)
    {%- endif -%}
{%- endmacro %}
