{% macro generate_schema_name(custom_schema_name, node) -%}
    {#-
    The schema of a node. In the target schema `default` that is production, with the names as they
    are; in any other one (`ETA_DBT_SCHEMA=dev_anna`) they begin with it: `dev_anna_features`. Sources
    are the lake's in either case.
    -#}
    {%- set own = target.schema | trim -%}
    {%- if own == 'default' -%}
        {{ (custom_schema_name or own) | trim }}
    {%- else -%}
        {{ checked_own_schema(own) ~ ('_' ~ custom_schema_name | trim if custom_schema_name else '') }}
    {%- endif -%}
{%- endmacro %}


{% macro checked_own_schema(name) -%}
    {#- A schema that somebody may work in: a name, and not one of production's, which it would be mixed with. -#}
    {%- set taken = [
        'raw', 'ops', 'staging', 'features', 'training', 'evaluation', 'serving', 'training_sets', 'evaluation_sets',
    ] -%}
    {%- if not modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name) or name in taken -%}
        {%- do exceptions.raise_compiler_error(
            'the target schema ' ~ name ~ ' cannot be yours: choose another name of lower-case letters, digits and '
            ~ '"_", such as ETA_DBT_SCHEMA=dev_anna; "default" is production'
        ) -%}
    {%- endif -%}
    {{ return(name) }}
{%- endmacro %}
