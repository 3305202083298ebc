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
