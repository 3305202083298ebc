-- one row per item that a user was shown
{{ config(unique_key=['tenant_id', 'user_id', 'event_id'], stats_columns=['shown_at']) }}
{% set tenants = clickstream_tenants(with_impressions=true) %}
{% set scope = change_scope(
    replaces_users=true,
    reads={
        'stg_clickstream': ['user_hash'],
        'stg_interactions': ['user_hash'],
        'stg_tenant_settings': [],
    },
    parameters=cutoff_parameter(),
    only_tenants={
        'stg_clickstream': tenants,
        'stg_interactions': tenants,
        'stg_tenant_settings': tenants,
    }
) %}
{% set is_counted = is_of_tenants(tenants) ~ ' and ' ~ known_by_cutoff() %}
with

settings as (
    select
        tenant_id,
        from_json(
            clickstream, 'struct<click_window_us: bigint, clicked_by: array<string>>'
        ) as told
    from {{ ref('stg_tenant_settings') }}
    where clickstream is not null and {{ is_of_tenants(tenants) }}
),

shown as (
    select
        *,
        row_number() over (
            partition by tenant_id, user_id, event_id
            order by {{ arrival() }}
        ) as arrival_rank
    from {{ rows_in_scope(
        'stg_clickstream', scope, 'is_impression and reason is null and ' ~ is_counted
    ) }}
),

interactions as (
    select * from {{ rows_in_scope('stg_interactions', scope, is_counted) }}
),

moments as (
    select
        tenant_id,
        user_hash,
        user_id,
        item_id,
        event_id,
        session_id,
        page,
        policy_id,
        shown_position,
        true as is_shown,
        event_time as moment,
        cast(null as timestamp) as clicked_at,
        known_at
    from shown
    where arrival_rank = 1
    union all
    select
        interactions.tenant_id,
        interactions.user_hash,
        interactions.user_id,
        interactions.item_id,
        cast(null as string) as event_id,
        cast(null as string) as session_id,
        cast(null as string) as page,
        cast(null as string) as policy_id,
        cast(null as int) as shown_position,
        false as is_shown,
        interactions.event_time as moment,
        interactions.event_time as clicked_at,
        interactions.known_at
    from interactions
    inner join settings
        on interactions.tenant_id = settings.tenant_id
    where array_contains(settings.told.clicked_by, interactions.interaction_type)
),

-- the next click on the item: one at the very time that it was shown is none
followed as (
    select
        * except (clicked_at),
        last_value(clicked_at, true) over (
            partition by tenant_id, user_hash, user_id, item_id
            order by moment desc, is_shown desc
            rows between unbounded preceding and current row
        ) as next_click_at
    from moments
),

judged as (
    select
        followed.*,
        coalesce(
            unix_micros(followed.next_click_at) - unix_micros(followed.moment)
            <= settings.told.click_window_us,
            false
        ) as is_clicked
    from followed
    inner join settings
        on followed.tenant_id = settings.tenant_id
    where followed.is_shown
),

impressions as (
    select
        tenant_id,
        user_hash,
        user_id,
        event_id,
        item_id,
        session_id,
        page,
        policy_id,
        is_clicked,
        shown_position,
        moment as shown_at,
        if(is_clicked, next_click_at, null) as clicked_at,
        known_at
    from judged
)

select * from impressions
