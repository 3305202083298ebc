{% macro local_times(rows, has_zones) -%}
    {#-
    CTE `local_times`: the rows with `local_time`, their `event_time` on the clocks of the tenant's zone: of UTC if it
    says none, null if Spark does not know the zone, which would fail the run. Without `has_zones` all are of UTC.
    -#}
{% if has_zones -%}
zones as (
    select
        tenant_id,
        case
            when {{ told_of_examples('examples') }}.time_zone is null then 'UTC'
            when
                try_cast(
                    concat('2026-01-01 00:00:00 ', {{ told_of_examples('examples') }}.time_zone) as timestamp
                ) is not null
                then {{ told_of_examples('examples') }}.time_zone
        end as time_zone
    from {{ ref('stg_tenant_settings') }}
),

{% endif -%}
local_times as (
    {%- if has_zones %}
    select
        {{ rows }}.*,
        from_utc_timestamp(
            {{ rows }}.event_time, if(zones.tenant_id is null, 'UTC', zones.time_zone)
        ) as local_time
    from {{ rows }}
    left join zones
        on {{ rows }}.tenant_id = zones.tenant_id
    {%- else %}
    select
        *,
        event_time as local_time
    from {{ rows }}
    {%- endif %}
)
{%- endmacro %}
