{% macro point_in_time(
    name, rows, row_columns, history, entity, columns, prefix='', time='event_time', as_of='as_of', also=[]
) -%}
    {#-
    CTE `name`: the rows of `rows` with the `columns` of their entity as they stood strictly before
    the row's `time`: those of the newest row of `history` whose `as_of` is less; null before the
    first. Both name the `entity` column; `row_columns` and `columns` give the types of the other
    columns to keep, and `prefix` goes before the names of the latter. `also` are further histories
    of the entity, each a mapping of `history`, `as_of` and `columns`.
    Histories and rows are put into one sequence per entity, and a running `last_value` carries the
    states along: O(n log n), with no comparison of rows with ranges. At one time the rows come first,
    so that none sees a state of its own time. A history has one row per entity and time.
    -#}
    {%- set histories = [{'history': history, 'as_of': as_of, 'columns': columns}] + also -%}
    {%- set states = ['state'] -%}
    {%- for _ in also -%}{%- do states.append('state_' ~ (loop.index + 1)) -%}{%- endfor %}
{{ name }}_sequence as (
    {%- for one in histories %}
    {%- set number = loop.index0 %}
    select
        tenant_id,
        {{ entity }},
        {{ one.as_of }} as moment,
        1 as is_history,
        {%- for state in states %}
        {%- if loop.index0 == number %}
        struct({{ one.columns.keys() | join(', ') }}) as {{ state }},
        {%- else %}
        cast(null as {{ state_type(histories[loop.index0].columns) }}) as {{ state }},
        {%- endif %}
        {%- endfor %}
        {%- for column, type in row_columns.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ one.history }}
    union all
    {%- endfor %}
    select
        tenant_id,
        {{ entity }},
        {{ time }} as moment,
        0 as is_history,
        {%- for state in states %}
        cast(null as {{ state_type(histories[loop.index0].columns) }}) as {{ state }},
        {%- endfor %}
        {{ row_columns.keys() | join(',\n        ') }}
    from {{ rows }}
),

{{ name }}_states as (
    select
        *,
        {%- for state in states %}
        last_value({{ state }}, true) over (
            partition by tenant_id, {{ entity }}
            order by moment, is_history
            rows between unbounded preceding and current row
        ) as {{ state }}_before{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ name }}_sequence
),

{{ name }} as (
    select
        tenant_id,
        {{ entity }},
        {{ row_columns.keys() | join(',\n        ') }},
        {%- for state in states %}
        {%- for column in histories[loop.index0].columns %}
        {{ state }}_before.{{ column }} as {{ prefix }}{{ column }},
        {%- endfor %}
        {%- endfor %}
        moment as {{ time }}
    from {{ name }}_states
    where is_history = 0
)
{%- endmacro %}


{% macro state_type(columns) -%}
    struct<{% for column, type in columns.items() %}{{ column }}: {{ type }}{{ ', ' if not loop.last }}{% endfor %}>
{%- endmacro %}
