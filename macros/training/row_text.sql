{% macro row_text(expressions) -%}
    {#-
    One text per row from which its values could be read back, so two different rows never have the
    same: each value as `<bytes>:<value>` (a netstring without its comma), null as `-`.
    `expressions` are SQL of strings and whole numbers; a double has no text that every engine
    agrees on (Java 17 and 21 differ), so hand it over as a whole number.
    -#}
    concat(
        {%- for expression in expressions %}
        coalesce(
            concat(
                octet_length(cast({{ expression }} as string)), ':', cast({{ expression }} as string)
            ),
            '-'
        ){{ "," if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
