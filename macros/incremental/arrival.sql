{% macro arrival(source_ref='source_ref') -%}
    {#-
    What the rows of one time are ordered by: the order in which they arrived. The position is the
    number that a place ends in (a line, an index, an offset), compared as a number; the function
    `positions` of `lakehouse/contracts/order.py` says the same in Python.
    -#}
    known_at, batch_id, {{ position(source_ref) }}, {{ source_ref }}
{%- endmacro %}


{% macro position(source_ref='source_ref') -%}
    {#- The position of a row within its batch; -1 without one that 64 bits can hold. -#}
    coalesce(try_cast(regexp_extract({{ source_ref }}, '([0-9]{1,19})$', 1) as bigint), -1)
{%- endmacro %}
