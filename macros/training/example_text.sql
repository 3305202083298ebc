{% macro example_text(more=[]) -%}
    {#- What a labelled example is, as the text that its content hash is made of; `more` are further columns. -#}
    {{ row_text([
        'tenant_id',
        'user_id',
        'item_id',
        'anchor_item_id',
        'draw_index',
        'interaction_type',
        'negative_type',
        'cast(label * 1e18d as bigint)',
        'cast(sampling_probability * 1e18d as bigint)',
        'unix_micros(event_time)',
    ] + more) }}
{%- endmacro %}
