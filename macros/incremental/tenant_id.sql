{% macro checked_tenant_id(tenant_id) -%}
    {#-
    A tenant id enters SQL only in this form. Anything but a text is refused: YAML makes a number of
    `007` and a truth of `yes`, and what was typed can no longer be known.
    -#}
    {%- if tenant_id is not none and tenant_id is not string -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be a text, and YAML reads what was given as another kind of value ('
            ~ tenant_id ~ '): put it in quotes, --vars \'{"tenant_id": "007"}\''
        ) -%}
    {%- elif tenant_id is not none and not modules.re.fullmatch('[a-z0-9][a-z0-9_-]{0,62}', tenant_id) -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be 1 to 63 lower-case letters, digits, "-" or "_", a letter or digit first'
        ) -%}
    {%- endif -%}
    {{ return(tenant_id) }}
{%- endmacro %}


{% macro this_runs_tenant_id() -%}
    {#-
    The one tenant that the run is narrowed to, or none. A null on the command line is refused: it
    may have been typed as a tenant's name, and would run all tenants.
    -#}
    {%- set given = invocation_args_dict.get('vars') -%}
    {%- if given is mapping and given.get('tenant_id', '') is none -%}
        {%- do exceptions.raise_compiler_error(
            'tenant_id must be a text, and YAML reads what was given as no value at all: put it in '
            ~ 'quotes, or leave tenant_id out to run all tenants'
        ) -%}
    {%- endif -%}
    {{ return(checked_tenant_id(var('tenant_id', none))) }}
{%- endmacro %}
