-- one row per item of an event of the clickstream that the tenant's settings map
{{ config(
    unique_key=['tenant_id', 'batch_id', 'source_ref', 'item_index'],
    stats_columns=['event_time', 'known_at'],
    added_columns={'anonymous_id': 'string', 'attributed_at': 'timestamp'}
) }}
{% set tenants = clickstream_tenants() %}
{% set tying = clickstream_tenants(with_identity=true) %}
{% set events = {'raw.clickstream': ['batch_id', 'source_ref']} if tenants != [] else {} %}
{% set ties = {'stg_identity_ties': ['anonymous_id']} if tying != [] else {} %}
{% set scope = change_scope(
    reads=merged({'stg_tenant_settings': []}, events, ties),
    keeps_expired='raw.clickstream',
    only_tenants={
        'raw.clickstream': tenants,
        'stg_tenant_settings': tenants,
        'stg_identity_ties': tying,
    }
) %}
{% set has_identity = clickstream_tenants(scope, with_identity=true) != [] %}
with

events as (
    select * from {{ rows_in_scope('raw.clickstream', scope, of_clickstream_tenants(tenants)) }}
),

settings as (
    select * from {{ ref('stg_tenant_settings') }}
    where clickstream is not null and {{ in_tenants(scope) }}
),

{{ clickstream_mappings('settings') }},

mapped_events as (
    select /*+ broadcast(clickstream_mappings) */
        events.*,
        clickstream_mappings.* except (tenant_id, event_name),
        coalesce(
            {{ found_at('properties', 'time_paths') }},
            {{ anything_at('properties', 'time_paths') }}
        ) as time_text,
        transform(
            clickstream_mappings.key_paths,
            paths -> {{ key_part(found_at('properties', 'paths')) }}
        ) as act
    from events
    inner join clickstream_mappings
        on
            events.tenant_id = clickstream_mappings.tenant_id
            and events.event_name = clickstream_mappings.event_name
),

{{ owned_events(
    'mapped_events', rows_in_scope('stg_identity_ties', scope, of_tenants=true), has_identity
) }},

-- An event without a user is one row, whatever it lists: it is counted, and no more.
entries as (
    select
        *,
        posexplode_outer(
            case
                when user_id is null then cast(array() as array<string>)
                when item_lists is null then array(properties)
                else from_json({{ list_at('properties', 'item_lists') }}, 'array<string>')
            end
        ) as (entry_index, entry)
    from owned_events
),

found_items as (
    select
        *,
        case
            when item_lists is null or left(entry, 1) = '{'
                then {{ found_at('entry', 'item_paths') }}
            when {{ says_something('entry') }} and left(entry, 1) != '[' then entry
        end as found_item_id
    from entries
),

items as (
    select
        * except (item_id, event_time),
        coalesce(entry_index, 0) as item_index,
        case
            when
                item_lists is not null
                or found_item_id is not null
                or {{ anything_at('entry', 'item_paths') }} is not null
                then found_item_id
            when {{ says_something('item_id') }} then item_id
        end as item_id,
        coalesce(not {{ is_as_sent('properties', 'found_item_id') }}, false) as is_other_number,
        try_cast({{ found_at('entry', 'value_paths') }} as decimal(18, 6)) as rating,
        coalesce(
            {{ found_at('entry', 'page_paths') }}, {{ found_at('properties', 'page_paths') }}
        ) as page,
        coalesce(
            {{ found_at('entry', 'policy_paths') }}, {{ found_at('properties', 'policy_paths') }}
        ) as policy_id,
        if(
            is_impression,
            coalesce(
                {{ whole_number(found_at('entry', 'position_paths')) }}, entry_index + 1
            ),
            null
        ) as shown_position,
        if(time_text is null, event_time, {{ time_of('time_text', 'time_unit') }}) as event_time
    from found_items
),

judged as (
    select
        *,
        case
            when user_id is null then 'no_user'
            when interaction_type is null and not is_impression then 'unknown_type'
            when item_id is null then 'no_item'
            when length(item_id) > 512 or instr(item_id, char(0)) > 0 or is_other_number
                then 'bad_item'
            when
                time_text is not null
                and not coalesce(unix_micros(event_time) between earliest and latest - 1, false)
                then 'bad_time'
            when
                row_number() over (
                    partition by tenant_id, batch_id, source_ref, item_id
                    order by item_index
                ) > 1
                then 'repeated_item'
        end as reason
    from items
),

stg_clickstream as (
    select
        tenant_id,
        case
            when reason is not null then null
            when size(act) > 0 and not exists(act, value -> value is null)
                then concat_ws(':', interaction_type, act, {{ key_part('item_id') }})
            when item_lists is null then event_id
            else concat_ws(':', event_id, {{ key_part('item_id') }})
        end as event_id,
        if(user_id is null, null, {{ user_hash() }}) as user_hash,
        user_id,
        if(has_identity, anonymous_id, null) as anonymous_id,
        item_id,
        interaction_type,
        session_id,
        source,
        batch_id,
        source_ref,
        event_name,
        page,
        policy_id,
        reason,
        is_impression,
        item_index,
        shown_position,
        rating,
        if(known_from > event_time, known_from, null) as attributed_at,
        event_time,
        known_at
    from judged
)

select * from stg_clickstream
