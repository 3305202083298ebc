-- one row per labelled example
{{ config(
    unique_key=['tenant_id', 'user_id', 'anchor_item_id', 'draw_index'],
    stats_columns=['label', 'event_time']
) }}
{% set showing = clickstream_tenants(with_shown_negatives=true) %}
{% set asking = negative_tenants().tenants %}
{% set scope = change_scope(
    replaces_users=true,
    reads=merged({
        'stg_interactions': ['user_hash'],
        'item_availability': {'since': 'available_at', 'users_of': 'stg_interactions'},
        'stg_tenant_settings': [],
        'stg_users': {'user_hash': 'user_hash', 'when': 'consent is not null', 'removes': true}
    }, {'impressions': ['user_hash']} if showing != [] else {}, {
        'item_hours': {
            'since': "date_trunc('day', event_hour) + interval 1 day",
            'users_of': 'stg_interactions'
        },
        'item_history': {'since': 'valid_from', 'users_of': 'stg_interactions'}
    } if asking != [] else {}),
    parameters=training_parameters(),
    only_tenants={
        'impressions': showing,
        'item_hours': asking,
        'item_history': asking
    }
) %}
{% set uses = event_type_uses(scope) %}
{% set values = ['rating'] if uses['values'] else [] %}
{% set distrusting = traffic_tenants('leave_out', scope) %}
{% set devices = ['device_type'] if distrusting != [] else [] %}
{% set has_shown = clickstream_tenants(scope, with_shown_negatives=true) != [] %}
{% set drawing = negative_tenants(scope) %}
{% set has_ways = drawing.tenants != [] %}
{% set is_asking = of_clickstream_tenants(drawing.tenants) %}
{% set versions = rows_in_scope(
    'item_history', scope, is_asking ~ ' and not valid_from <=> valid_until',
    columns=['tenant_id', 'item_id', 'category', 'valid_from', 'valid_until'], of_tenants=true
) if has_ways else none %}
{% set carried = ['type_weight'] if uses.own else [] %}
{% set settings = rows_in_scope(
    'stg_tenant_settings', scope, of_tenants=true, is_repeated=true
) %}
{#- every pair, labelled or not: a user knows what they interacted with in any way -#}
{% set labelled_pairs %}
interactions as (
    select * from {{ rows_in_scope(
        'stg_interactions', scope, known_by_cutoff() ~ ' and ' ~ agrees_to_training(scope),
        columns=[
            'tenant_id', 'user_id', 'item_id', 'event_id', 'interaction_type', 'event_time'
        ] + values + devices,
        is_repeated=true
    ) }}
),

tenant_settings as (
    select * from {{ settings }}
),

{{ without_left_out_days('interactions', 'tenant_settings', distrusting) }},

{{ pair_labels(
    'trusted_interactions', labelled_only=false, settings='tenant_settings', uses=uses
) }}
{% endset %}
{#- Who draws from lines reads the pairs more often: they are computed once, as the lines are. -#}
{% set kept_pairs = keep_rows(
    scope, 'pairs', 'with ' ~ labelled_pairs ~ ' select * from pair_labels', is_measured=true
) if has_ways else none %}
{% set kept_lines = keep_rows(scope, 'lines', draw_lines(
    rows_in_scope('stg_tenant_settings', scope, is_asking, of_tenants=true),
    rows_in_scope('item_availability', scope, is_asking, of_tenants=true),
    rows_in_scope('item_hours', scope, is_asking, of_tenants=true),
    versions,
    times=rows_in_scope('stg_interactions', scope, is_asking),
    has_category=drawing.has_category
), is_measured=true) if has_ways else none %}
with

{% if has_ways -%}
    pair_labels as (
        select * from {{ kept_pairs }}
    ),

    draw_lines as (
        select * from {{ kept_lines }}
    ),

    tenant_settings as (
        select * from {{ settings }}
    ),
{%- else -%}
    {{ labelled_pairs | trim }},
{%- endif %}

item_availability as (
    select * from {{ rows_in_scope(
        'item_availability', scope, of_tenants=true, is_repeated=true
    ) }}
),

{{ uniform_pairs('pair_labels', 'tenant_settings', has_ways) }},

{{ sampled_negatives(
    'uniform_pairs', 'item_availability',
    times='pair_labels' if has_ways else 'interactions',
    time='positive_time' if has_ways else 'event_time',
    settings='tenant_settings', carried=carried
) }},

{{ weighted_negatives(
    'draw_lines' if has_ways else none, 'pair_labels', versions, carried=carried,
    has_category=drawing.has_category
) }},

{{ shown_negatives(
    rows_in_scope('impressions', scope, of_clickstream_tenants(showing)) if has_shown else none,
    'pair_labels', 'item_availability', settings='tenant_settings', carried=carried
) }},

examples as (
    select
        tenant_id,
        user_id,
        item_id,
        item_id as anchor_item_id,
        0 as draw_index,
        if(positive_event_id is null, negative_type, strongest_type) as interaction_type,
        if(positive_event_id is null, 'explicit', null) as negative_type,
        if(positive_event_id is null, 0.0d, 1.0d) as label,
        type_weight,
        cast(null as int) as shown_position,
        cast(null as string) as drawn_by,
        cast(null as bigint) as drawn_popularity,
        cast(null as double) as sampling_probability,
        cast(null as double) as logq,
        cast(null as bigint) as eligible_count,
        coalesce(positive_event_id, negative_event_id) as event_id,
        coalesce(positive_type, negative_type) as first_type,
        positive_event_id is not null and negative_event_id is not null as has_dislike,
        coalesce(positive_time, negative_time) as event_time
    from pair_labels
    where positive_event_id is not null or negative_event_id is not null
    {%- for source, kind, its in [
        ('sampled_negatives', 'sampled', {'drawn_by': "'uniform'"}),
        ('weighted_negatives', 'sampled', {
            'drawn_by': 'drawn_by', 'drawn_popularity': 'popularity', 'logq': 'logq'
        }),
        ('shown_negatives', 'shown', {'shown_position': 'shown_position'})
    ] %}
        union all
        select
            tenant_id,
            user_id,
            item_id,
            positive_item_id as anchor_item_id,
            draw_index,
            cast(null as string) as interaction_type,
            '{{ kind }}' as negative_type,
            0.0d as label,
            {{ 'type_weight' if uses.own else '1.0d' }} as type_weight,
            {{ its.get('shown_position', 'cast(null as int)') }} as shown_position,
            {{ its.get('drawn_by', 'cast(null as string)') }} as drawn_by,
            {{ its.get('drawn_popularity', 'cast(null as bigint)') }} as drawn_popularity,
            sampling_probability,
            {{ its.get('logq', '-ln(cast(eligible_count as double))') }} as logq,
            eligible_count,
            cast(null as string) as event_id,
            cast(null as string) as first_type,
            false as has_dislike,
            event_time
        from {{ source }}
    {%- endfor %}
),

training_data as (
    select
        tenant_id,
        {{ user_hash() }} as user_hash,
        user_id,
        item_id,
        anchor_item_id,
        draw_index,
        interaction_type,
        negative_type,
        label,
        type_weight,
        shown_position,
        drawn_by,
        drawn_popularity,
        sampling_probability,
        logq,
        eligible_count,
        event_id,
        first_type,
        has_dislike,
        event_time
    from examples
)

select * from training_data
