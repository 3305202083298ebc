{% macro carried(field, window='so_far') -%}
    {#-
    A field of a catalogue row merged with the rows before it, over the window of the rows so far:
    the value of the newest row that sent the field, be it null. A row without `sent_fields` sent
    all of them.
    -#}
    (last_value(
        case
            when sent_fields is null or array_contains(sent_fields, '{{ field }}') then struct({{ field }})
        end,
        true
    ) over {{ window }}).{{ field }}
{%- endmacro %}


{% macro versions_in_order(entity) -%}
    {#-
    The windows `in_order` and `so_far` over the versions of an entity: by `updated_at`, of one time by arrival.
    -#}
    in_order as (
        partition by tenant_id, {{ entity }}
        order by updated_at, {{ arrival() }}, event_id
    ),
    so_far as (
        partition by tenant_id, {{ entity }}
        order by updated_at, {{ arrival() }}, event_id
        rows between unbounded preceding and current row
    )
{%- endmacro %}
