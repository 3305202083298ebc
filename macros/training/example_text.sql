{% macro example_text(more=[], has_weights=true) -%}
    {#-
    What a labelled example is, as the text that its content hash is made of; `more` are further columns. With
    `has_weights` the end of it is a weight other than 1, where a negative stood that the user was shown, and how one was drawn that was not
    drawn uniformly: a tenant with none of these has the hash it had.
    -#}
    {%- set text -%}
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
    {%- endset -%}
    {%- if not has_weights -%}{{ return(text) }}{%- endif -%}
    concat(
        {{ text }},
        if(
            coalesce(type_weight, 1.0d) = 1.0d,
            '',
            {{ row_text(['cast(type_weight * 1e9d as bigint)']) }}
        ),
        if(shown_position is null, '', {{ row_text(['shown_position']) }}),
        if(
            drawn_by in ('popularity', 'category'),
            {{ row_text(['drawn_by', 'drawn_popularity']) }},
            ''
        )
    )
{%- endmacro %}
