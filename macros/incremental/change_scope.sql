{% macro change_scope(model_name, reads, parameters=none) -%}
    {#-
    What a run of `model_name` has to recompute. Returns a mapping:
      mode        `all` tenants, the `changed` ones, or `nothing`
      tenants     the tenants with new rows, in mode `changed`
      tenant_id   the one tenant the run is narrowed to, or none
      target      the model's table if it stays (rows may have to be deleted from it), or none
      from, to    per source table: the Delta version the table holds, and the one this run reads
      parameters  what the table is a function of besides its inputs, as text
    `reads` names the parents: models, or sources as `schema.table`. A source counts with its
    newest version, a model with the versions recorded in its table.
    -#}
    {%- set tenant_id = checked_tenant_id(var('tenant_id', none)) -%}
    {%- set parameters = tojson(parameters or {}, sort_keys=True) -%}
    {%- set scope = {
        'mode': 'all', 'tenants': [], 'tenant_id': tenant_id, 'target': none, 'from': {}, 'to': {},
        'parameters': parameters,
    } -%}
    {%- if not execute or var('rebuild', false) -%}
        {{ return(scope) }}
    {%- endif -%}

    {%- for name in reads -%}
        {%- set versions = versions_of(name) -%}
        {%- if versions == {} and tenant_id is none and flags.WHICH in ['run', 'build', 'retry'] -%}
            {%- do exceptions.raise_compiler_error(
                name ~ ' was only ever built for single tenants, or never, so ' ~ model_name
                ~ ' cannot be built for all: run `dbt build` without tenant_id first'
            ) -%}
        {%- endif -%}
        {%- for source, version in versions.items() -%}
            {%- do scope['to'].update({source: [version, scope['to'].get(source, version)] | min}) -%}
        {%- endfor -%}
    {%- endfor -%}

    {%- set relation = relation_of(model_name) -%}
    {%- if relation is none or (should_full_refresh() and tenant_id is none) -%}
        {{ return(scope) }}
    {%- endif -%}
    {%- do scope.update({'target': relation}) -%}
    {%- set properties = table_properties(relation) -%}
    {%- do scope.update({'from': watermarks(properties)}) -%}

    {%- if properties.get('eta.parameters', parameters) != parameters -%}
        {%- if tenant_id is not none -%}
            {%- do exceptions.raise_compiler_error(
                model_name ~ ' was built with ' ~ properties['eta.parameters'] ~ ', this run has '
                ~ parameters ~ ': run it for all tenants (without tenant_id) when these change'
            ) -%}
        {%- endif -%}
    {%- elif
        should_full_refresh()
        or tenant_id is not none
        or scope['to'].keys() | reject('in', scope['from']) | list
    -%}
        {#- Asked for; or a source this table has never read: recompute all in scope. For one tenant
            the watermarks say nothing: its parents' stay where they are in a narrowed run. -#}
    {%- else -%}
        {%- set tenants = changed_tenants(scope) -%}
        {%- do scope.update({'mode': 'changed' if tenants else 'nothing', 'tenants': tenants}) -%}
    {%- endif -%}
    {{ return(scope) }}
{%- endmacro %}


{% macro changed_tenants(scope) -%}
    {#- Ids of the tenants with rows that came since the table's watermarks. -#}
    {%- set feeds = [] -%}
    {%- for source, version in scope['to'].items() if version > scope['from'][source] -%}
        {%- do feeds.append(
            "select tenant_id from table_changes('" ~ source ~ "', "
            ~ (scope['from'][source] + 1) ~ ', ' ~ version ~ ')'
        ) -%}
    {%- endfor -%}
    {%- if not feeds -%}{{ return([]) }}{%- endif -%}
    {%- set found = run_query(
        'select distinct tenant_id from (' ~ feeds | join(' union all ') ~ ') order by tenant_id'
    ) -%}
    {%- for tenant_id in found.columns[0].values() -%}{%- do checked_tenant_id(tenant_id) -%}{%- endfor -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}


{% macro versions_of(name) -%}
    {#- Source table → Delta version, for a source (`schema.table`) or a model. -#}
    {%- if '.' in name -%}
        {%- set newest = run_query('describe history ' ~ name ~ ' limit 1') -%}
        {{ return({name: newest.columns['version'].values()[0] | int}) }}
    {%- endif -%}
    {%- set relation = relation_of(name) -%}
    {{ return({} if relation is none else watermarks(table_properties(relation))) }}
{%- endmacro %}


{% macro relation_of(model_name) -%}
    {#- The table of a model, or none before its first run. -#}
    {%- set node = graph.nodes['model.eta.' ~ model_name] -%}
    {{ return(adapter.get_relation(node.database, node.schema, node.alias)) }}
{%- endmacro %}


{% macro table_properties(relation) -%}
    {%- set rows = run_query('show tblproperties ' ~ relation) -%}
    {%- set properties = {} -%}
    {%- for row in rows.rows -%}{%- do properties.update({row[0]: row[1]}) -%}{%- endfor -%}
    {{ return(properties) }}
{%- endmacro %}


{% macro watermarks(properties) -%}
    {#- The `eta.watermark.<source>` properties of a table: source → Delta version. -#}
    {%- set found = {} -%}
    {%- for name, value in properties.items() if name.startswith('eta.watermark.') -%}
        {%- do found.update({name[14:]: value | int}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro checked_tenant_id(tenant_id) -%}
    {#- A tenant id enters SQL only in this form. -#}
    {%- if tenant_id is not none and not modules.re.fullmatch('[a-z0-9][a-z0-9_-]{0,62}', tenant_id | string) -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be 1 to 63 lower-case letters, digits, "-" or "_", a letter or digit first'
        ) -%}
    {%- endif -%}
    {{ return(tenant_id) }}
{%- endmacro %}
