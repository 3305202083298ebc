{% macro log_plan(scope, parents) -%}
    {#-
    Tells whoever listens to dbt's log what a run would do with this model, as JSON. What a run would do
    with the parents comes first: they are compiled before, and where they change, so does this one.
    -#}
    {%- set planned = {'mode': scope.mode, 'reason': scope.reason, 'tenants': scope.tenants, 'users': scope.users} -%}
    {%- if scope.is_rebuild -%}{%- do planned.update({'mode': 'rebuild'}) -%}{%- endif -%}
    {%- for name in parents -%}
        {%- set parent = graph.get('eta_plans', {}).get(name) -%}
        {%- if parent and parent.mode != 'nothing' and scope.possible != [] and planned.mode in ['nothing', 'changed', 'rewrite'] -%}
            {%- if parent.mode in ['all', 'rebuild'] -%}
                {%- do planned.update({
                    'mode': 'all' if parent.mode == 'rebuild' else 'changed',
                    'reason': name ~ (' will be rebuilt' if parent.mode == 'rebuild' else ' will change'),
                }) -%}
            {%- elif planned.mode == 'nothing' -%}
                {%- do planned.update({'mode': 'changed', 'reason': name ~ ' will change'}) -%}
            {%- endif -%}
            {%- do planned.update({
                'tenants': (planned.tenants + parent.tenants) | unique | list,
                'users': [planned.users, parent.users] | max,
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do graph.setdefault('eta_plans', {}).update({model.name: planned}) -%}
    {%- set reads = {} -%}
    {%- for table, state in scope.read.items() -%}
        {%- do reads.update({table: [scope.held.get(table, {}).get('version'), state.version]}) -%}
    {%- endfor -%}
    {%- do log('eta plan ' ~ tojson(dict(planned, model=model.name, reads=reads)), info=true) -%}
{%- endmacro %}
