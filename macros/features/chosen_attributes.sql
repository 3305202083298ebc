{% macro chosen_attributes(name, rows, entity, is_used) -%}
    {#-
    CTE `name`: rows with `tenant_id` and a JSON object `document`, and of that as `chosen_attributes` those that the
    tenant's settings name for the `entity`, in the order of their names: `name`, `text` and, where it is one,
    `number`. What is not there, is a list, an object or a number too large for a double is left out; a text
    ends after 200 characters. No value is an error. Null for a tenant that names none; for all without `is_used`.
    -#}
{{ name }} as (
    {%- if is_used %}
    select
        {{ rows }}.*,
        transform(
            filter(
                transform(
                    {{ told_of_examples('settings.examples') }}.{{ entity }},
                    one -> struct(
                        one.name as name,
                        {{ found_at(rows ~ '.document', 'one.paths', any_word=true) }} as text
                    )
                ),
                -- how Spark spells a number that is too large
                one -> one.text not in ('"Infinity"', '"-Infinity"')
            ),
            one -> struct(
                one.name as name,
                left(one.text, 200) as text,
                {{ finite_number('one.text') }} as number
            )
        ) as chosen_attributes
    from {{ rows }}
    left join {{ ref('stg_tenant_settings') }} as settings
        on {{ rows }}.tenant_id = settings.tenant_id
    {%- else %}
    select
        *,
        cast(null as {{ attributes_type() }}) as chosen_attributes
    from {{ rows }}
    {%- endif %}
)
{%- endmacro %}


{% macro finite_number(text) -%}
    {#- The double that a text is, written as in JSON; null for infinities and for any other text. -#}
    get(
        filter(
            array(
                if(
                    {{ text }} rlike '^ *-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)? *$',
                    try_cast({{ text }} as double),
                    null
                )
            ),
            number -> abs(number) < double('infinity')
        ),
        0
    )
{%- endmacro %}


{% macro attributes_type() -%}
    {{ return('array<struct<name: string, text: string, number: double>>') }}
{%- endmacro %}


{% macro attribute_texts(attributes) -%}
    {#- Of chosen attributes the texts, a map; null without a column. -#}
    {%- if not attributes -%}{{ return('cast(null as map<string, string>)') }}{%- endif -%}
    map_from_entries(
        transform({{ attributes }}, one -> struct(one.name, one.text))
    )
{%- endmacro %}


{% macro attribute_numbers(attributes) -%}
    {#- Of chosen attributes those that are numbers, a map; null without a column. -#}
    {%- if not attributes -%}{{ return('cast(null as map<string, double>)') }}{%- endif -%}
    map_from_entries(
        transform(
            filter({{ attributes }}, one -> one.number is not null),
            one -> struct(one.name, one.number)
        )
    )
{%- endmacro %}
