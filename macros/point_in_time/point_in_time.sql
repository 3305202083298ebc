{% macro point_in_time(
    name, rows, row_columns, history, entity, columns, prefix='', time='event_time', as_of='as_of'
) -%}
    {#-
    CTE `name`: the rows of `rows` with the `columns` of their entity as they stood strictly before
    the row's `time`: those of the newest row of `history` whose `as_of` is less; null before the
    first. Both name the `entity` column; `row_columns` and `columns` give the types of the other
    columns to keep, and `prefix` goes before the names of the latter.
    History and rows are put into one sequence per entity, and a running `last_value` carries the
    state along: O(n log n), with no comparison of rows with ranges. At one time the rows come first,
    so that none sees a state of its own time.
    -#}
{{ name }}_sequence as (
    select
        tenant_id,
        {{ entity }},
        {{ as_of }} as moment,
        1 as is_history,
        struct({{ columns.keys() | join(', ') }}) as state,
        {%- for column, type in row_columns.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ history }}
    union all
    select
        tenant_id,
        {{ entity }},
        {{ time }} as moment,
        0 as is_history,
        cast(null as struct<
            {%- for column, type in columns.items() %}{{ column }}: {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
        >) as state,
        {{ row_columns.keys() | join(',\n        ') }}
    from {{ rows }}
),

{{ name }}_states as (
    select
        *,
        last_value(state, true) over (
            partition by tenant_id, {{ entity }}
            order by moment, is_history
            rows between unbounded preceding and current row
        ) as state_before
    from {{ name }}_sequence
),

{{ name }} as (
    select
        tenant_id,
        {{ entity }},
        {{ row_columns.keys() | join(',\n        ') }},
        {%- for column in columns %}
        state_before.{{ column }} as {{ prefix }}{{ column }},
        {%- endfor %}
        moment as {{ time }}
    from {{ name }}_states
    where is_history = 0
)
{%- endmacro %}
