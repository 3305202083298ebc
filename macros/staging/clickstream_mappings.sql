{% macro clickstream_mappings(settings) -%}
    {#-
    CTE `clickstream_mappings`: one row per tenant and event name that its settings map. What
    `lakehouse.training.tenant_settings` writes of it as JSON is read here.
    -#}
clickstream_mappings as (
    select
        tenant_id,
        mapping.*,
        has_identity
    from (
        select
            tenant_id,
            get_json_object(clickstream, '$.identity') is not null as has_identity,
            explode(
                from_json(
                    clickstream,
                    'struct<events: array<struct<event_name: string, is_impression: boolean,
                    interaction_type: string, item_lists: array<string>, item_paths: array<string>,
                    position_paths: array<string>, page_paths: array<string>,
                    policy_paths: array<string>,
                    value_paths: array<string>, key_paths: array<array<string>>,
                    time_paths: array<string>, time_unit: string,
                    earliest: bigint, latest: bigint>>>'
                ).events
            ) as mapping
        from {{ settings }}
    )
)
{%- endmacro %}


{% macro says_something(text) -%}
    {#-
    Whether a text is none of those that programs write where they have no value: blank, `undefined`, `null` and
    `[object Object]` of JavaScript, `(not set)` of GA4's export. Such an id is everybody's.
    -#}
    lower(trim({{ text }})) not in ('', '(not set)', 'undefined', 'null', '[object object]')
{%- endmacro %}


{% macro found_at(document, paths, any_word=false) -%}
    {#-
    The first text, number or truth value that one of the JSONPaths finds in a JSON text; else null. Words that say
    nothing (`says_something`) are not found; with `any_word` all are but blanks.
    -#}
    get(
        filter(
            transform({{ paths }}, path -> get_json_object({{ document }}, path)),
            found -> {{ "trim(found) != ''" if any_word else says_something('found') }}
            and left(found, 1) not in ('{', '[')
        ),
        0
    )
{%- endmacro %}


{% macro anything_at(document, paths) -%}
    {#- The first value of any kind that one of the JSONPaths finds in a JSON text; null for blanks and words that say nothing. -#}
    get(
        filter(
            transform({{ paths }}, path -> get_json_object({{ document }}, path)),
            found -> {{ says_something('found') }}
        ),
        0
    )
{%- endmacro %}


{% macro is_as_sent(document, value) -%}
    {#-
    Whether a value that was found in a JSON text stands in it with the same digits. A number with a
    fraction or an exponent is read as a double: of 12345678901234567.0 it is 1.2345678901234568E16.
    -#}
    if(
        {{ value }} rlike '^-?[0-9]+[.][0-9]+(E-?[0-9]+)?$',
        {{ document }} rlike concat(
            '(^|[^0-9.eE+-])', replace({{ value }}, '.', '[.]'), '([^0-9.eE+-]|$)'
        ),
        true
    )
{%- endmacro %}


{% macro key_part(value) -%}
    {#- A value of a key, or an item, without `:`, which stands between the parts of an event's id. -#}
    replace(replace({{ value }}, '%', '%25'), ':', '%3A')
{%- endmacro %}


{% macro list_at(document, paths) -%}
    {#- The first list that one of the JSONPaths finds in a JSON text, as JSON; else null. -#}
    get(
        filter(
            transform({{ paths }}, path -> get_json_object({{ document }}, path)),
            found -> left(found, 1) = '['
        ),
        0
    )
{%- endmacro %}


{% macro whole_number(text) -%}
    {#- The whole number from 0 on that a text is, `2.0` of a sender that writes its numbers so included; else null. -#}
    try_cast(
        if({{ text }} rlike '^ *[0-9]+([.]0+)? *$', try_cast({{ text }} as decimal(20, 6)), null)
        as int
    )
{%- endmacro %}


{% macro time_of(text, unit) -%}
    {#- The time that a text is in a unit of source mappings (`iso`, `s`, `ms`, `us`); null if it is none. -#}
    if(
        {{ unit }} = 'iso',
        -- a text without a date would be one of today
        if(
            {{ text }} rlike '^ *[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]|$)',
            try_cast({{ text }} as timestamp),
            null
        ),
        timestamp_micros(
            try_cast(
                try_multiply(
                    try_cast({{ text }} as decimal(28, 6)),
                    case {{ unit }} when 's' then 1000000bd when 'ms' then 1000bd else 1bd end
                ) as bigint
            )
        )
    )
{%- endmacro %}
