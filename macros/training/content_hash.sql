{% macro content_hash(text) -%}
    {#-
    Aggregate: 32 hexadecimal digits over the set of values of `text`, whatever their order and
    partitioning. Two sums modulo 2^64 of xxhash64 (seed 42) over the salted text; sums rather than
    exclusive or, under which a row that stands twice would vanish. Exact decimals hold the sums of
    100 billion rows. `lakehouse.training.content_hash` computes the same from an export.
    -#}
    concat(
        {{ hash_digits(hash_modulus('sum(' ~ row_hash('a', text) ~ ')')) }},
        {{ hash_digits(hash_modulus('sum(' ~ row_hash('b', text) ~ ')')) }}
    )
{%- endmacro %}


{% macro row_hash(salt, text) -%}
    {#- A row's share of one half of the hash. Shares add up: a changed row is its new less its old. -#}
    cast(xxhash64(concat('{{ salt }}', {{ text }})) as decimal(20, 0))
{%- endmacro %}


{% macro hash_modulus(hash_sum) -%}
    {#- A sum of shares modulo 2^64. -#}
    cast(pmod({{ hash_sum }}, cast(18446744073709551616 as decimal(20, 0))) as decimal(20, 0))
{%- endmacro %}


{% macro hash_digits(hash_sum) -%}
    {#- A sum of shares modulo 2^64 as 16 hexadecimal digits. -#}
    lpad(lower(conv(cast({{ hash_sum }} as string), 10, 16)), 16, '0')
{%- endmacro %}
