{% macro feature_columns(entity, prefix='', in_examples=false) -%}
    {#- The names of an entity's features, for a select list; the arguments are those of `feature_types`. -#}
    {{ feature_types(entity, prefix, in_examples).keys() | join(',\n        ') }}
{%- endmacro %}


{% macro feature_types(entity, prefix='', in_examples=false) -%}
    {#-
    The features of an `entity`: name → type, those of the variables `features` (`user`, `item`) and
    `example_features` (`context`, `catalogue`, `profile`).

      prefix        goes before each name
      in_examples   only those that training examples carry
    -#}
    {%- set types = {} -%}
    {%- for name, feature in merged(var('features'), var('example_features'))[entity].items()
        if not in_examples or feature.get('in_examples', true) -%}
        {%- do types.update({prefix ~ name: feature.type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}
