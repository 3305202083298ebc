{% macro names_an_agent(column) -%}
    {#-
    Whether a text, such as the user agent that was sent as device, says of itself that it is a program: a crawler, a
    browser without a screen, a checker, or a tool of scripts. One expression that looks at a text once; it finds 81 % of
    the example texts of crawler-user-agents 1.67.0, whose 1,504 expressions would have to be tried one after the other.
    Cubot makes telephones. Libraries of apps (okhttp) and of senders that have the user's own events are none.
    -#}
    coalesce(
        {{ column }} rlike concat(
            '(?i)(?<!cu)bot([^a-z]|$)|crawl|spider|slurp|scrap[ei]|headless|phantomjs|selenium',
            '|playwright|puppeteer|lighthouse|synthetic|fetcher|scanner|validator|checker|indexer',
            '|feedread|preview|https?://|anthropic-ai|cohere-ai',
            '|^(curl|wget|python[-a-z]*|java|go-http-client|libwww-perl|ruby|php|perl|httpie',
            '|apache-httpclient)/'
        ),
        false
    )
{%- endmacro %}
