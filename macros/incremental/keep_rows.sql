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


{% macro keep_rows(scope, name, select, is_measured=false) -%}
    {#-
    Keeps the rows of a statement in the session until the model's commit; returns the view to select them
    from. With `is_measured` they are computed at once, so that Spark plans what reads them by their true size;
    else when they are first read. A plan (`eta plan`) keeps nothing, nor does a model's fingerprint, which is of the
    statement.
    -#}
    {%- if not is_run() or graph.get('eta_plain', {}).get(model.name) -%}{{ return('(' ~ select ~ ')') }}{%- endif -%}
    {%- set view = 'eta_' ~ name ~ '_of_' ~ model.schema ~ '_' ~ model.alias -%}
    {#- Spark numbers the CTEs of each query, and finds kept rows by the plan that made them: those of a statement with CTEs
        only if they are inlined, which is what this policy does to a view that is made under it. -#}
    {%- set has_ctes = (select | trim).startswith('with') -%}
    {%- if has_ctes -%}{%- do run_query('set spark.sql.legacy.ctePrecedencePolicy = LEGACY') -%}{%- endif -%}
    {%- do run_query('create or replace temporary view ' ~ view ~ ' as ' ~ select) -%}
    {%- if has_ctes -%}{%- do run_query('reset spark.sql.legacy.ctePrecedencePolicy') -%}{%- endif -%}
    {%- do run_query('cache ' ~ ('' if is_measured else 'lazy ') ~ 'table ' ~ view) -%}
    {%- do scope.kept.append(view) -%}
    {{ return(view) }}
{%- endmacro %}


{% macro drop_kept_rows(scope) -%}
    {%- for view in scope.kept -%}{%- do run_query('uncache table if exists ' ~ view) -%}{%- endfor -%}
    {%- do scope.update({'kept': []}) -%}
{%- endmacro %}
