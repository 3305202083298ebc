{% macro moment_flags() -%}
    {#-
    An array of what is conspicuous in a paced moment with `agent_count`, by its tenant's thresholds (`settings`
    joined) or the project's: `rate`, `uniformity`, `agent`, in this order.
    -#}
    {%- set told = told_of_traffic('settings.traffic') -%}
    array_compact(
        array(
            if(
                interactions_1h
                > coalesce({{ told }}.rate_per_hour, {{ var('traffic').rate_per_hour | int }}),
                'rate',
                null
            ),
            if(
                interval_variation < coalesce(
                    {{ told }}.interval_variation,
                    {{ var('traffic').interval_variation | float }}d
                ),
                'uniformity',
                null
            ),
            if(agent_count > 0, 'agent', null)
        )
    )
{%- endmacro %}


{% macro told_of_traffic(traffic) -%}
    {#- What a tenant's settings say of traffic; `lakehouse.training.tenant_settings` writes the JSON. -#}
    from_json(
        {{ traffic }},
        'struct<leave_out: array<string>, rate_per_hour: bigint, interval_variation: double>'
    )
{%- endmacro %}
