{% macro agrees_to_training(scope=none, tenants='true') -%}
    {#-
    A condition on rows with `tenant_id` and `user_id`: the user has not withdrawn the consent to train on
    them (`withdrawn_users`). `scope`: that of the model; `tenants`: without one, a condition on the tenants.
    Where no user of these has withdrawn it, true.
    -#}
    {%- set withdrawn = withdrawn_users(in_scope(scope) if scope else tenants) -%}
    {%- set rows, hint = '(' ~ withdrawn ~ ')', '' -%}
    {%- if execute and model.resource_type != 'unit_test' and not graph.get('eta_plain', {}).get(model.name) -%}
        {%- set is_nobody = scope.mode == 'nothing' if scope else tenants == 'false' -%}
        {#- no table: a run of one tenant, or of some models alone, before the first of all -#}
        {%- if is_nobody or load_relation(ref('stg_users')) is none -%}{{ return('true') }}{%- endif -%}
        {#- of tenants without users no file is opened -#}
        {%- set has_users = 'select 1 from ' ~ ref('stg_users') ~ ' where ' ~ (in_tenants(scope) if scope else tenants) ~ ' limit 1' -%}
        {%- if not run_query(has_users).rows -%}{{ return('true') }}{%- endif -%}
        {%- if is_run() -%}
            {%- if scope -%}{%- set rows = keep_rows(scope, 'withdrawn_users', withdrawn) -%}{%- endif -%}
            {%- set count = run_query('select count(*) from ' ~ rows).rows[0][0] | int -%}
            {%- if not count -%}{{ return('true') }}{%- endif -%}
            {%- if count <= var('broadcast_keys') | int -%}{%- set hint = '/*+ broadcast(withdrawn) */ ' -%}{%- endif -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(
        'not exists (select ' ~ hint ~ '1 from ' ~ rows ~ ' as withdrawn '
        ~ 'where withdrawn.of_tenant_id = tenant_id and withdrawn.of_user_id = user_id)'
    ) }}
{%- endmacro %}


{% macro withdrawn_users(condition) -%}
    {#-
    A statement: the users (`of_tenant_id`, `of_user_id`) whose newest word on the purpose `training` is no,
    among the versions of users for which the condition holds. What counts is what is known now, whatever
    the cutoff. A yes dated later than it arrived counts as of its arrival, a no as of its date: a no that
    is repeated after a yes is the same version as the first and arrives once, so of two words of one time,
    whatever arrived last, no counts. Between the name of a purpose and its value no letter stands.
    -#}
    select
        tenant_id as of_tenant_id,
        user_id as of_user_id
    from {{ ref('stg_users') }}
    where {{ condition }} and consent rlike '"training"[^a-z]*(true|false)'
    group by tenant_id, user_id
    having max_by(
        consent rlike '"training"[^a-z]*false',
        struct(
            if(consent rlike '"training"[^a-z]*false', updated_at, least(updated_at, known_at)),
            consent rlike '"training"[^a-z]*false'
        )
    )
{%- endmacro %}
