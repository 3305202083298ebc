-- one row per user and item that the user wished for or disliked by the cutoff
{{ config(materialized='ephemeral') }}
with

interactions as (
    select * from {{ ref('stg_interactions') }}
    where {{ known_by_cutoff() }}
),

{{ pair_labels('interactions') }}

select * from pair_labels
