{% macro rows_in_scope(
    parent, scope, condition='true', columns=['*'], of_tenants=false, is_repeated=false
) -%}
    {#-
    The rows that a parent (a model, or a source as `schema.table`) has of what is touched, with `of_tenants` of
    the tenants that have some, to select from; in a run of everything all of its rows. Where its feed has
    them all (`fresh`) they are read from there: no other file is opened. With `is_repeated` the model reads
    them more than once: a run on few rows keeps them, because to plan a read costs more than to do it.
    -#}
    {%- set relation = source(*parent.split('.')) if '.' in parent else ref(parent) -%}
    {%- if scope.fresh and scope.fresh == relation.schema ~ '.' ~ relation.identifier -%}
    (
        select * except (_change_type, _commit_version, _commit_timestamp)
        from {{ scope.changes[scope.fresh] }}
        where _change_type = 'insert' and {{ condition }}
    )
    {%- else -%}
        {%- set select = 'select ' ~ columns | join(', ') ~ ' from ' ~ relation ~ ' where '
            ~ (in_tenants(scope) if of_tenants else in_scope(scope)) ~ ' and ' ~ condition -%}
        {{- keep_rows(scope, parent, select) if is_repeated and is_on_few_rows(scope) else '(' ~ select ~ ')' -}}
    {%- endif -%}
{%- endmacro %}


{% macro keep_rows(scope, name, select) -%}
    {#-
    Keeps the rows of a statement in the session until the model's commit; returns the view to select them
    from. A plan (`eta plan`) keeps nothing.
    -#}
    {%- if not is_run() -%}{{ return('(' ~ select ~ ')') }}{%- endif -%}
    {%- set view = 'eta_' ~ name ~ '_of_' ~ model.schema ~ '_' ~ model.alias -%}
    {%- do run_query('create or replace temporary view ' ~ view ~ ' as ' ~ select) -%}
    {%- do run_query('cache lazy table ' ~ view) -%}
    {%- do scope.kept.append(view) -%}
    {{ return(view) }}
{%- endmacro %}


{% macro drop_kept_rows(scope) -%}
    {%- for view in scope.kept -%}{%- do run_query('uncache table if exists ' ~ view) -%}{%- endfor -%}
    {%- do scope.update({'kept': []}) -%}
{%- endmacro %}
