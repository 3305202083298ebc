{% macro changed_rows_sql(sql, columns, scope) -%}
    {#-
    What has to change in a table: rows of the model that the table lacks or holds with other values
    have `is_current` true; keys in scope that the table holds and the model no longer has come with
    `is_current` null. Unchanged rows are left out here, because a merge rewrites every file that a source
    row matches, changed or not. Rows whose raw rows expired (`keeps_expired`) stay as they are. Of new keys
    (`fresh`) there is nothing to compare.
    -#}
    {%- if scope.fresh -%}
        {{ return('select *, true as is_current from (' ~ sql ~ ')') }}
    {%- endif -%}
    {%- set key = config.require('unique_key') -%}
    {%- set values = columns | reject('in', key) | join(', ') -%}
    {%- set kept = has_expired(scope.keeps_expired) if scope.keeps_expired else none -%}
    select * except (held_values{{ ', is_kept' if kept }})
    from (select *, true as is_current from (
        {{ sql }}
    ))
    full outer join (
        select {{ key | join(', ') }}, struct({{ values or 'true' }}) as held_values
            {%- if kept %}, {{ kept }} as is_kept{% endif %}
        from {{ scope.target }} as held
        where {{ in_scope(scope, 'held') }}{{ is_held_above_floor(scope) }}
    ) using ({{ key | join(', ') }})
    where
        {% if kept %}not coalesce(is_kept, false) and {% endif -%}
        (
            is_current is null
            or held_values is null
            {%- if values %}
            or not (held_values <=> struct({{ values }}))
            {%- endif %}
        )
{%- endmacro %}
