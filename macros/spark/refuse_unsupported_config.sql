{% macro refuse_unsupported_config() -%}
    {#-
    Raises an error for a config of dbt's that the materialization `delta_merge` would not apply: a model
    that asks for something must not be built as if it had it. To be called in a materialization.
    -#}
    {%- set asked = [] -%}
    {%- for name, todo in unsupported_config().items() if config.get(name) -%}
        {%- do asked.append('`' ~ name ~ '` (' ~ todo ~ ')') -%}
    {%- endfor -%}
    {%- if (config.get('contract') or {}).enforced -%}
        {%- do asked.append(
            '`contract` (each run compares the names of the columns with the documented ones; test their types)'
        ) -%}
    {%- endif -%}
    {%- if config.get('on_schema_change', 'fail') not in ['fail', 'ignore'] -%}
        {%- do asked.append(
            '`on_schema_change: ' ~ config.get('on_schema_change') ~ '` (say `fail`; a column that may be null '
            ~ 'in older rows is added by `added_columns`, any other by --full-refresh)'
        ) -%}
    {%- endif -%}
    {%- if config.get('file_format', 'delta') != 'delta' -%}
        {%- do asked.append('`file_format: ' ~ config.get('file_format') ~ '` (it makes Delta tables)') -%}
    {%- endif -%}
    {%- if asked -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ': its materialization does not apply ' ~ asked | join(', ')
            ~ '; take that out, or give the model a materialization of dbt itself'
        ) -%}
    {%- endif -%}
{%- endmacro %}


{% macro unsupported_config() -%}
    {#- What to do instead, for each config that means nothing to `delta_merge` whatever its value. -#}
    {%- set keyed = 'it writes whole rows by `unique_key`' -%}
    {%- set placed = 'a table is partitioned by `partition_by` and lies in its schema in the lake' -%}
    {%- set properties = 'there are `stats_columns`, `change_feed`, `deletion_vectors` and `log_retention`' -%}
    {{ return({
        'persist_docs': '`eta docs` shows the descriptions',
        'grants': 'rights are those of the folders, or of the server',
        'incremental_strategy': keyed,
        'predicates': keyed,
        'incremental_predicates': keyed,
        'merge_update_columns': keyed,
        'merge_exclude_columns': keyed,
        'batch_size': 'each run takes what changed',
        'location_root': placed,
        'clustered_by': placed,
        'liquid_clustered_by': placed,
        'buckets': placed,
        'tblproperties': properties,
        'options': properties,
    }) }}
{%- endmacro %}
