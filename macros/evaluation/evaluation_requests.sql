{% macro evaluation_requests() -%}
    {#-
    The evaluation snapshots that the variable `evaluation` asks for (tenant → how to split; nobody
    by default): one mapping per tenant, every value checked, defaults filled in.
    -#}
    {%- set defaults = {
        'method': 'time', 'train_until': none, 'validation_until': none, 'train_share': 0.8,
        'validation_share': 0.1, 'minimum_user_positives': 0, 'minimum_item_positives': 0,
    } -%}
    {%- set requests = [] -%}
    {%- for tenant_id, wanted in (var('evaluation', none) or {}).items() -%}
        {%- do checked_tenant_id(tenant_id if tenant_id is not none else false) -%}
        {%- set request = dict(defaults) -%}
        {%- do request.update(wanted or {}) -%}
        {%- do check_evaluation_request(tenant_id, request, defaults) -%}
        {%- do request.update({
            'tenant_id': tenant_id,
            'train_until': utc_text(request.train_until),
            'validation_until': utc_text(request.validation_until),
            'train_share': '%.6f' % (request.train_share | float),
            'validation_share': '%.6f' % (request.validation_share | float),
            'minimum_user_positives': request.minimum_user_positives | int,
            'minimum_item_positives': request.minimum_item_positives | int,
        }) -%}
        {%- do requests.append(request) -%}
    {%- endfor -%}
    {{ return(requests) }}
{%- endmacro %}


{% macro check_evaluation_request(tenant_id, request, known) -%}
    {%- set wrong = [] -%}
    {%- for name in request.keys() | reject('in', known.keys()) -%}
        {%- do wrong.append('there is no setting ' ~ name ~ '; there are ' ~ known.keys() | join(', ')) -%}
    {%- endfor -%}
    {%- if request.method not in ['time', 'leave_one_out'] -%}
        {%- do wrong.append('method must be time or leave_one_out') -%}
    {%- endif -%}
    {%- set train, validation = request.train_share | float(-1), request.validation_share | float(-1) -%}
    {%- if not (train > 0 and validation >= 0 and train + validation < 1) -%}
        {%- do wrong.append('train_share and validation_share must leave a share for the test') -%}
    {%- endif -%}
    {%- for name in ['minimum_user_positives', 'minimum_item_positives'] -%}
        {%- if request[name] | int(-1) < 0 -%}
            {%- do wrong.append(name ~ ' must be 0 or more') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if wrong -%}
        {%- do exceptions.raise_compiler_error('evaluation of ' ~ tenant_id ~ ': ' ~ wrong | join('; ')) -%}
    {%- endif -%}
{%- endmacro %}


{% macro utc_text(moment) -%}
    {#- A time (ISO 8601, without an offset UTC) as `YYYY-MM-DD HH:MM:SS.ffffff` in UTC. -#}
    {%- if moment is none -%}{{ return(none) }}{%- endif -%}
    {%- set parsed = modules.datetime.datetime.fromisoformat(moment | string) -%}
    {%- if parsed.tzinfo is not none -%}{%- set parsed = parsed.astimezone(modules.pytz.utc) -%}{%- endif -%}
    {{ return(parsed.strftime('%Y-%m-%d %H:%M:%S.%f')) }}
{%- endmacro %}
