{% macro histories_before(interactions, labelled_times, has_identity) -%}
    {#-
    CTE `user_histories`: per user and labelled time the newest `recent_interaction_limit` interactions strictly
    before it, the last one the newest. `has_identity`: whether some may be their user's by a tie; those count if that was
    known by then.
    -#}
    {%- if has_identity -%}
{{ known_histories(interactions, labelled_times) }}
    {%- else -%}
-- The first interaction of a time has exactly the earlier ones before it.
preceded as (
    select
        tenant_id,
        user_hash,
        user_id,
        event_time,
        collect_list(struct(item_id, interaction_type, event_time)) over (
            partition by tenant_id, user_id
            order by event_time, event_id
            rows between {{ var('recent_interaction_limit') | int }} preceding and 1 preceding
        ) as earlier,
        lag(event_time) over (
            partition by tenant_id, user_id
            order by event_time, event_id
        ) as previous_time
    from {{ interactions }}
),

user_histories as (
    select
        preceded.tenant_id,
        preceded.user_hash,
        preceded.user_id,
        transform(preceded.earlier, one -> one.item_id) as item_ids,
        transform(preceded.earlier, one -> one.interaction_type) as interaction_types,
        transform(preceded.earlier, one -> one.event_time) as event_times,
        preceded.event_time
    from preceded
    left semi join {{ labelled_times }} as labelled_times
        on
            preceded.tenant_id = labelled_times.tenant_id
            and preceded.user_id = labelled_times.user_id
            and preceded.event_time = labelled_times.event_time
    where not preceded.event_time <=> preceded.previous_time
)
    {%- endif -%}
{%- endmacro %}


{% macro known_histories(interactions, labelled_times) -%}
    {#-
    The same where interactions may be their user's by a tie. Of what was always the user's the newest are carried
    along; what came by ties is one short list per time at which a tie became known, and there are as few
    of these as the user has devices.
    -#}
    {%- set limit = var('recent_interaction_limit') | int -%}
    {%- set entry = 'struct(event_time, event_id, item_id, interaction_type)' -%}
    {%- set entries = 'array<struct<event_time: timestamp, event_id: string, item_id: string, interaction_type: string>>' -%}
own_sequence as (
    select
        tenant_id,
        user_id,
        event_time,
        collect_list({{ entry }}) over in_order_so_far as newest,
        lead(event_time) over in_order as next_time
    from {{ interactions }}
    where attributed_at is null
    window
        in_order as (partition by tenant_id, user_id order by event_time, event_id),
        in_order_so_far as (
            partition by tenant_id, user_id order by event_time, event_id
            rows between {{ limit - 1 }} preceding and current row
        )
),

own_states as (
    select
        *,
        event_time as as_of
    from own_sequence
    where not event_time <=> next_time
),

attributed_lists as (
    select
        tenant_id,
        user_id,
        attributed_at,
        {{ newest_of('array_sort(collect_list(' ~ entry ~ '))', limit) }} as newest
    from {{ interactions }}
    where attributed_at is not null
    group by tenant_id, user_id, attributed_at
),

attributed as (
    select
        tenant_id,
        user_id,
        collect_list(struct(attributed_at, newest)) as lists
    from attributed_lists
    group by tenant_id, user_id
),

times as (
    select
        *,
        {{ user_hash() }} as user_hash
    from {{ labelled_times }}
),

{{ point_in_time(
    'with_own',
    rows='times',
    row_columns={'user_hash': 'int'},
    history='own_states',
    entity='user_id',
    columns={'newest': entries}
) }},

with_earlier as (
    select
        with_own.*,
        array_sort(
            concat(
                coalesce(with_own.newest, array()),
                coalesce(
                    flatten(
                        transform(
                            filter(
                                attributed.lists, list -> list.attributed_at < with_own.event_time
                            ),
                            list -> list.newest
                        )
                    ),
                    array()
                )
            )
        ) as all_earlier
    from with_own
    left join attributed
        on
            with_own.tenant_id = attributed.tenant_id
            and with_own.user_id = attributed.user_id
),

newest_earlier as (
    select
        *,
        {{ newest_of('all_earlier', limit) }} as earlier
    from with_earlier
),

user_histories as (
    select
        tenant_id,
        user_hash,
        user_id,
        transform(earlier, one -> one.item_id) as item_ids,
        transform(earlier, one -> one.interaction_type) as interaction_types,
        transform(earlier, one -> one.event_time) as event_times,
        event_time
    from newest_earlier
)
{%- endmacro %}


{% macro newest_of(entries, limit) -%}
    {#- The last so many of a list. -#}
    slice({{ entries }}, greatest(size({{ entries }}) - {{ limit }}, 0) + 1, {{ limit }})
{%- endmacro %}
