-- one row per change of whom an anonymous id is tied to, as events of the clickstream say it
{{ config(
    unique_key=['tenant_id', 'batch_id', 'source_ref'],
    stats_columns=['tied_at', 'known_at']
) }}
{% set tenants = clickstream_tenants(with_identity=true) %}
{% set told = {
    'raw.clickstream': ['anonymous_id'],
    'ops.shared_devices': [],
} if tenants != [] else {} %}
{% set scope = change_scope(
    reads=merged({'stg_tenant_settings': []}, told),
    keeps_expired='raw.clickstream',
    only_tenants={
        'raw.clickstream': tenants,
        'ops.shared_devices': tenants,
        'stg_tenant_settings': tenants,
    },
    parameters=cutoff_parameter()
) %}
with

events as (
    select * from {{ rows_in_scope(
        'raw.clickstream', scope,
        'anonymous_id is not null and ' ~ of_clickstream_tenants(tenants)
        ~ ' and ' ~ known_by_cutoff(),
        columns=[
            'tenant_id', 'anonymous_id', 'user_id', 'event_name', 'batch_id', 'source_ref',
            'event_time', 'known_at'
        ]
    ) }}
),

-- shared with somebody who was erased: what is left would say that it is the other's
shared_devices as (
    select * from {{ source('ops', 'shared_devices') }}
    where {{ in_tenants(scope) }}
),

settings as (
    select
        tenant_id,
        from_json(
            clickstream,
            'struct<identity: struct<tie_events: array<string>, untie_events: array<string>>>'
        ).identity as told
    from {{ ref('stg_tenant_settings') }}
    where clickstream is not null and {{ in_tenants(scope) }}
),

said as (
    select
        events.* except (user_id, event_time),
        if(array_contains(settings.told.untie_events, events.event_name), null, events.user_id)
            as user_id,
        events.event_time as tied_at,
        greatest(events.event_time, events.known_at) as known_from
    from events
    inner join settings
        on events.tenant_id = settings.tenant_id
    left anti join shared_devices
        on
            events.tenant_id = shared_devices.tenant_id
            and sha2(concat_ws('|', events.tenant_id, events.anonymous_id), 256)
            = shared_devices.device_hash
    where
        array_contains(settings.told.untie_events, events.event_name)
        or (
            settings.told is not null
            and {{ names_somebody('events.user_id') }}
            and {{ names_somebody('events.anonymous_id') }}
            and coalesce(array_contains(settings.told.tie_events, events.event_name), true)
        )
),

marked as (
    select
        *,
        user_id is null
        or row_number() over in_order = 1
        or not user_id <=> lag(user_id) over in_order as is_change
    from said
    window in_order as (
        partition by tenant_id, anonymous_id
        order by tied_at, user_id asc nulls first, {{ arrival() }}
    )
),

-- a tie that is said again changes nothing; each untying ends what was before it
numbered as (
    select
        *,
        count_if(is_change) over (
            partition by tenant_id, anonymous_id
            order by tied_at, user_id asc nulls first, {{ arrival() }}
            rows between unbounded preceding and current row
        ) as change_number
    from marked
),

dated as (
    select
        * except (known_from, known_at),
        min(known_from) over changes as known_from,
        min(known_at) over changes as known_at
    from numbered
    window changes as (partition by tenant_id, anonymous_id, change_number)
),

stg_identity_ties as (
    select
        tenant_id,
        anonymous_id,
        user_id,
        batch_id,
        source_ref,
        tied_at,
        known_from,
        known_at
    from dated
    where is_change
)

select * from stg_identity_ties
