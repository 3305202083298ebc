{% macro counted_events(scope, tenants) -%}
    {#-
    CTE `counted_events`: one row per tenant and batch with clickstream events, of tenants that map these: what
    became of them. Where none of the scope's tenants does, there is nothing and nothing is read.
    -#}
    {%- if clickstream_tenants(scope) == [] -%}
{{ no_rows('counted_events', {
    'tenant_id': 'string',
    'batch_id': 'string',
    'event_count': 'bigint',
    'unmapped_count': 'bigint',
    'interaction_count': 'bigint',
    'impression_count': 'bigint',
    'left_out': 'array<struct<event_name: string, reason: string, row_count: bigint>>',
    'known_at': 'timestamp'
}) }}
    {%- else -%}
sent_events as (
    select
        tenant_id,
        batch_id,
        count(*) as event_count,
        min(known_at) as known_at
    from {{ source('raw', 'clickstream') }}
    where {{ in_scope(scope) }} and {{ of_clickstream_tenants(tenants) }}
    group by tenant_id, batch_id
),

mapped_items as (
    select
        tenant_id,
        batch_id,
        event_name,
        reason,
        count_if(item_index = 0) as event_count,
        count_if(is_impression) as impression_count,
        count(*) as row_count
    from {{ ref('stg_clickstream') }}
    where {{ in_scope(scope) }}
    group by tenant_id, batch_id, event_name, reason
),

mapped_events as (
    select
        tenant_id,
        batch_id,
        sum(event_count) as event_count,
        sum(if(reason is null, row_count - impression_count, 0)) as interaction_count,
        sum(if(reason is null, impression_count, 0)) as impression_count,
        array_sort(
            collect_list(struct(event_name, reason, row_count)) filter (where reason is not null)
        ) as left_out
    from mapped_items
    group by tenant_id, batch_id
),

counted_events as (
    select
        sent_events.tenant_id,
        sent_events.batch_id,
        sent_events.event_count,
        sent_events.event_count - coalesce(mapped_events.event_count, 0) as unmapped_count,
        coalesce(mapped_events.interaction_count, 0) as interaction_count,
        coalesce(mapped_events.impression_count, 0) as impression_count,
        mapped_events.left_out,
        sent_events.known_at
    from sent_events
    left join mapped_events
        on
            sent_events.tenant_id = mapped_events.tenant_id
            and sent_events.batch_id = mapped_events.batch_id
)
    {%- endif -%}
{%- endmacro %}
