{% macro user_profiles(users, is_used) -%}
    {#-
    CTE `user_profiles`: from rows of `stg_users` (`users`), one row per user and time of a version, `valid_from`:
    the attributes of users that their tenant declares, as they stood from then on. Not `is_used`, it reads nothing.
    -#}
{% if is_used -%}
user_versions as (
    select
        tenant_id,
        user_id,
        {{ carried('attributes') }} as document,
        updated_at as valid_from,
        lead(updated_at) over in_order as valid_until
    from {{ users }}
    window {{ versions_in_order('user_id') }}
),

-- a version that another one replaced at the same time never was in force
standing_versions as (
    select * from user_versions
    where not valid_from <=> valid_until
),

{{ chosen_attributes('user_profiles', 'standing_versions', 'user', is_used) }}
{%- else -%}
user_profiles as (select cast(null as string) as user_id)
{%- endif %}
{%- endmacro %}
