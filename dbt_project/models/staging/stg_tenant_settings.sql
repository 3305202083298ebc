-- one row per tenant that has settings of its own
{{ config(unique_key=['tenant_id']) }}
select * from {{ ref('stg_tenant_settings__this_run') }}
