{% macro owned_events(events, ties, has_identity) -%}
    {#-
    CTE `owned_events`: mapped events; of tenants that tie anonymous ids one without a user is of the user that its
    anonymous id is tied to (`known_from` when on), else of the anonymous id. Without `has_identity` no tenant of the
    run does, and no tie is read.
    -#}
    {%- if has_identity -%}
{{ device_owners(ties) }},

events_with_owner as (
    select
        events.*,
        get(
            filter(
                device_owners.spans,
                span -> coalesce(events.event_time >= span.span_from, true)
                and coalesce(events.event_time < span.span_until, true)
            ),
            0
        ) as owner
    from {{ events }} as events
    left join device_owners
        on
            events.tenant_id = device_owners.tenant_id
            and events.anonymous_id = device_owners.anonymous_id
            and events.user_id is null
            and events.has_identity
),

owned_events as (
    select
        * except (user_id),
        coalesce(user_id, owner.owner_id, if(has_identity, anonymous_id, null)) as user_id,
        owner.known_from
    from events_with_owner
)
    {%- else -%}
owned_events as (
    select
        *,
        cast(null as timestamp) as known_from
    from {{ events }}
)
    {%- endif -%}
{%- endmacro %}


{% macro device_owners(ties) -%}
    {#-
    CTE `device_owners`: one row per anonymous id that is tied to somebody, with its `spans`, each an
    `owner_id` and the time `known_from` which that was known. A span lasts from one untying
    (`span_from`, null: the first) to the next (`span_until`, null: none yet); one with several users is
    of a shared device and is left out. Until an untying was known that came late, what is tied beyond it shared the
    device: the span is known from its arrival. (Of the untying that ends it only if something was tied after it by then.)
    -#}
tie_spans as (
    select
        *,
        max(if(user_id is null, struct(tied_at, known_from), null)) over (
            partition by tenant_id, anonymous_id
            order by tied_at
            range between unbounded preceding and current row
        ) as untied_before,
        min(if(user_id is null, struct(tied_at, known_from), null)) over later as untied_after,
        min(if(user_id is null, null, known_from)) over later as next_known_from
    from {{ ties }}
    window later as (
        partition by tenant_id, anonymous_id
        order by tied_at
        range between interval 1 microsecond following and unbounded following
    )
),

owned_spans as (
    select
        tenant_id,
        anonymous_id,
        untied_before.tied_at as span_from,
        untied_after.tied_at as span_until,
        max(user_id) as owner_id,
        greatest(
            min(known_from),
            max(untied_before.known_from),
            -- after the span's last tie all others are beyond it
            if(
                max(struct(tied_at, next_known_from)).next_known_from < max(untied_after.known_from),
                max(untied_after.known_from),
                null
            )
        ) as known_from
    from tie_spans
    where user_id is not null
    group by tenant_id, anonymous_id, untied_before.tied_at, untied_after.tied_at
    having min(user_id) = max(user_id)
),

device_owners as (
    select
        tenant_id,
        anonymous_id,
        array_sort(collect_list(struct(span_from, span_until, owner_id, known_from))) as spans
    from owned_spans
    group by tenant_id, anonymous_id
)
{%- endmacro %}


{% macro names_somebody(id) -%}
    {#-
    Whether an id of a user or a device is somebody's. Words that programs write where nobody is logged in, zeros and dashes
    would tie every device to one user, or share it with a user that nobody is. `names_nobody` of
    `lakehouse/contracts/identifying.py` says the same.
    -#}
    (
        lower(trim({{ id }})) not in (
            'null', 'none', 'nil', 'nan', 'nat', 'n/a', 'na', 'undefined', '(null)', '<null>', '<na>', '(not set)',
            '[object object]', 'anonymous'
        )
        and not {{ id }} rlike '^[0 -]*$'
    )
{%- endmacro %}
