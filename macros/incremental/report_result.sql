{% macro report_result(mode, why, rows=none) -%}
    {#-
    What dbt prints of the model and keeps in `run_results.json`: what was done (the response's code),
    the rows added and removed, and what it was about. `rows` comes from `counted_rows`.
    -#}
    {%- set parts = [mode] -%}
    {%- if rows -%}{%- do parts.append('+' ~ rows.added) -%}{%- endif -%}
    {%- if rows and rows.removed is not none -%}{%- do parts.append('-' ~ rows.removed) -%}{%- endif -%}
    {%- do store_raw_result(
        name='main', message=parts | join(' ') ~ ', ' ~ why, code=mode, rows_affected=(rows or {}).get('all', -1)
    ) -%}
{%- endmacro %}


{% macro counted_rows() -%}
    {#-
    The rows that the main statement added and removed (none: not said), as Delta counts them: a row
    that was updated counts as both. Nothing if the server said nothing.
    -#}
    {%- set found = load_result('main').table -%}
    {%- if not found or not found.rows -%}{{ return(none) }}{%- endif -%}
    {%- set row = found.rows[0] -%}
    {%- set counts = {} -%}
    {%- for name in found.column_names -%}{%- do counts.update({name: row[name] | int}) -%}{%- endfor -%}
    {%- set updated = counts.get('num_updated_rows', 0) -%}
    {{ return({
        'added': counts.get('num_inserted_rows', 0) + updated,
        'removed': counts.num_deleted_rows + updated if 'num_deleted_rows' in counts else none,
        'all': counts.get('num_affected_rows', 0),
    }) }}
{%- endmacro %}


{% macro covered(scope) -%}
    {#- Whose rows a run was about, in words. -#}
    {%- set count = scope.tenants | length -%}
    {%- if scope.tenant_id is not none -%}{{ return('tenant ' ~ scope.tenant_id) }}{%- endif -%}
    {%- if scope.mode == 'all' -%}{{ return('all tenants: ' ~ scope.reason) }}{%- endif -%}
    {{ return(count ~ ' tenant' ~ ('s' if count > 1)) }}
{%- endmacro %}
