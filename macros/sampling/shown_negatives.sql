{% macro shown_negatives(impressions, pairs, item_availability, settings, carried=[]) -%}
    {#-
    CTE `shown_negatives`: for each positive that came from a list some of the items that the list showed beside it and that the user knows from no interaction of any type; one row each, with `positive_item_id`, `draw_index`,
    `shown_position`, `eligible_count` (n, how many there are to choose from) and `sampling_probability`.

      impressions         rows of the model of that name; none where no tenant asks for them: then there is no row
      pairs               one row per user and item that the user knows, with `positive_time`, null if none
      item_availability   one row per item with `available_at`, a whole hour
      settings            one row per tenant; those count whose impressions have `negatives_per_positive`, s
      carried             further columns of `pairs` that each row has from its positive

    A list is what was shown at one time, on one page and in one session. A positive came from it where its item is in
    the list and its time lies after the list's, by no more than the click window. The min(s, n) items with the least
    hashes are chosen, each with probability min(s, n)/n. Of an item that several such lists showed the last
    one counts. `draw_index` goes on after that of `sampled_negatives`.
    -#}
{%- if impressions is none -%}
{{ negatives_of_nobody('shown_negatives', {'shown_position': 'int'}) }}
{%- else -%}
shown_items as (
    select
        impressions.tenant_id,
        impressions.user_id,
        impressions.session_id,
        impressions.page,
        impressions.item_id,
        impressions.shown_position,
        impressions.shown_at,
        pairs.item_id is not null as is_known,
        if(
            impressions.shown_at < pairs.positive_time,
            struct(
                pairs.item_id,
                {{- further(carried, 'pairs') }}
                pairs.positive_time
            ),
            null
        ) as positive
    from {{ impressions }} as impressions
    left join {{ pairs }} as pairs
        on
            impressions.tenant_id = pairs.tenant_id
            and impressions.user_id = pairs.user_id
            and impressions.item_id = pairs.item_id
),

shown_lists as (
    select
        *,
        collect_set(positive) over (
            partition by tenant_id, user_id, shown_at, session_id, page
        ) as positives
    from shown_items
),

shown_beside as (
    select
        tenant_id,
        user_id,
        item_id,
        shown_position,
        shown_at,
        explode(positives) as positive
    from shown_lists
    where not is_known
),

shown_last as (
    select
        tenant_id,
        user_id,
        item_id,
        positive,
        max(struct(shown_at, shown_position)) as shown
    from shown_beside
    group by tenant_id, user_id, item_id, positive
),

shown_choices as (
    select
        shown_last.tenant_id,
        shown_last.user_id,
        shown_last.item_id,
        shown_last.positive,
        shown_last.shown.shown_position,
        {{ tenant_setting('negatives_per_positive') }} as sampled_count,
        cast(get_json_object(settings.clickstream, '$.shown_negatives') as int) as shown_count,
        count(*) over (
            partition by shown_last.tenant_id, shown_last.user_id, shown_last.positive.item_id
        ) as eligible_count,
        row_number() over (
            partition by shown_last.tenant_id, shown_last.user_id, shown_last.positive.item_id
            order by
                xxhash64(concat_ws(
                    '|',
                    {{ tenant_setting('seed') }},
                    shown_last.tenant_id,
                    shown_last.user_id,
                    shown_last.positive.item_id,
                    'shown',
                    shown_last.item_id
                )),
                shown_last.item_id
        ) as choice
    from shown_last
    inner join {{ item_availability }} as availability
        on
            shown_last.tenant_id = availability.tenant_id
            and shown_last.item_id = availability.item_id
            and shown_last.positive.positive_time >= availability.available_at
    inner join {{ settings }} as settings
        on
            shown_last.tenant_id = settings.tenant_id
            -- if the last list is too old all are
            and unix_micros(shown_last.positive.positive_time) - unix_micros(shown_last.shown.shown_at)
            <= cast(get_json_object(settings.clickstream, '$.click_window_us') as bigint)
),

shown_negatives as (
    select
        tenant_id,
        user_id,
        item_id,
        positive.item_id as positive_item_id,
        cast(sampled_count + choice as int) as draw_index,
        shown_position,
        eligible_count,
        {%- for column in carried %}
        positive.{{ column }},
        {%- endfor %}
        least(shown_count, eligible_count) / cast(eligible_count as double) as sampling_probability,
        positive.positive_time as event_time
    from shown_choices
    where choice <= shown_count
)
{%- endif -%}
{%- endmacro %}
