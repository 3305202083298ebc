{% macro content_hash(text) -%}
    {#-
    Aggregate: 32 hexadecimal digits over the set of values of `text`, whatever their order and
    partitioning. Two sums modulo 2^64 of xxhash64 (seed 42) over the salted text; sums rather than
    exclusive or, under which a row that stands twice would vanish. Exact decimals hold the sums of
    100 billion rows. `lakehouse.training.content_hash` computes the same from an export.
    -#}
    concat(
        {%- for salt in ['a', 'b'] %}
        lpad(
            lower(
                conv(
                    cast(
                        pmod(
                            sum(cast(xxhash64(concat('{{ salt }}', {{ text }})) as decimal(20, 0))),
                            cast(18446744073709551616 as decimal(20, 0))
                        ) as string
                    ),
                    10,
                    16
                )
            ),
            16,
            '0'
        ){{ "," if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
