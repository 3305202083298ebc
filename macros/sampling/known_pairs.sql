{% macro known_pairs(scope, settings) -%}
    {#-
    The items that the users of tenants with weighted shares know, to select from: one row per user and item,
    with `positive_time`, null if the pair is no positive. `settings` are those of these tenants.
    -#}
    {%- set select -%}
        with

        tenant_settings as (
            select * from {{ settings }}
        ),

        interactions as (
            select * from {{ rows_in_scope(
                'stg_interactions', scope, known_by_cutoff(),
                columns=['tenant_id', 'user_id', 'item_id', 'event_id', 'interaction_type', 'event_time']
            ) }}
            where tenant_id in (select tenant_id from tenant_settings)
        ),

        {{ pair_labels('interactions', labelled_only=false, settings='tenant_settings') }}

        select
            tenant_id,
            user_id,
            item_id,
            positive_time
        from pair_labels
    {%- endset -%}
    {{ return(kept_rows(scope, 'known_pairs', select)) }}
{%- endmacro %}
