{% macro clickstream_tenants(scope=none, with_impressions=false) -%}
    {#-
    The tenants (of `scope`) that map events of their clickstream, or ever did, `with_impressions` those that have
    these among them; see `tenants_using`. Where nobody does, no row of the clickstream is read.
    -#}
    {{ return(tenants_using('impressions' if with_impressions else 'clickstream', scope)) }}
{%- endmacro %}
