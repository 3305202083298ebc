{% macro training_parameters() -%}
    {#- What a training table is a function of besides its inputs. -#}
    {{ return({
        'cutoff': var('cutoff') | string,
        'seed': var('seed'),
        'negatives_per_positive': var('negatives_per_positive'),
        'positive_types': var('positive_types') | sort,
        'negative_types': var('negative_types') | sort,
    }) }}
{%- endmacro %}
