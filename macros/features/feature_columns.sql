{% macro feature_columns(entity, prefix='') -%}
    {#-
    The names of the features of an `entity` (`user` or `item`), for a select list: those of the variable
    `features`. With a prefix only those that training examples carry, with it before each name.
    -#}
    {{ feature_types(entity, prefix).keys() | join(',\n        ') }}
{%- endmacro %}


{% macro feature_types(entity, prefix='') -%}
    {#- The same as a mapping from names to types. -#}
    {%- set types = {} -%}
    {%- for name, feature in var('features')[entity].items() if not prefix or feature.get('in_examples', true) -%}
        {%- do types.update({prefix ~ name: feature.type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}


{% macro example_features(entity) -%}
    {#- The features that training examples carry, without prefix: name → type. -#}
    {%- set types = {} -%}
    {%- for name, type in feature_types(entity, '_').items() -%}
        {%- do types.update({name[1:]: type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}
