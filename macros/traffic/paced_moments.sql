{% macro paced_moments(moments, time='event_time') -%}
    {#-
    CTE `paced_moments`: `moments`, one row per user and time with `interaction_count`, and how fast and how evenly
    the user went up to then. Nothing later is in it.

      interactions_1h      interactions of the hour up to then, both ends included
      interval_variation   standard deviation divided by mean of the newest 20 intervals between times; null if there
                           are fewer, or if one is longer than a day: 0 is a clock, people are above 0.1

    Intervals are whole milliseconds, their sums whole numbers: the same in every run and engine.
    -#}
    {%- set of_user = 'partition by tenant_id, user_id order by ' ~ time -%}
    {%- set longest = 24 * 60 * 60 * 1000 -%}
intervals as (
    select
        *,
        sum(interaction_count) over (
            {{ of_user }}
            range between interval 1 hour preceding and current row
        ) as interactions_1h,
        least(
            unix_millis({{ time }}) - unix_millis(lag({{ time }}) over ({{ of_user }})),
            {{ longest + 1 }}
        ) as interval_ms
    from {{ moments }}
),

summed_intervals as (
    select
        *,
        count(interval_ms) over newest as interval_count,
        max(interval_ms) over newest as longest_ms,
        sum(interval_ms) over newest as sum_ms,
        sum(interval_ms * interval_ms) over newest as sum_of_squares
    from intervals
    window newest as (
        {{ of_user }} rows between {{ intervals_judged() - 1 }} preceding and current row
    )
),

paced_moments as (
    select
        * except (interval_ms, interval_count, longest_ms, sum_ms, sum_of_squares),
        if(
            interval_count = {{ intervals_judged() }} and longest_ms <= {{ longest }},
            sqrt(
                ({{ intervals_judged() }} * sum_of_squares - sum_ms * sum_ms)
                / nullif(cast(sum_ms * sum_ms as double), 0.0d)
            ),
            null
        ) as interval_variation
    from summed_intervals
)
{%- endmacro %}


{% macro intervals_judged() -%}
    {{ return(20) }}
{%- endmacro %}
