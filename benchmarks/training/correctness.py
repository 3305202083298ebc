"""What must hold of a training set, counted in DuckDB over the files that Spark wrote.

Nothing here comes from the models' own arithmetic: who knows what, what existed when and how many
items were eligible is counted anew, by joining each positive with its user's known items.
"""

from typing import Any, Final

import duckdb

MIN_EXPECTED: Final = 5.0
"""Expected draws of an item below which chi-square would not hold."""

_COUNTS: Final = {
    "positives": "from training.positives where tenant_id = $tenant",
    "sampled_negatives": "from training.sampled_negatives where tenant_id = $tenant",
    "recent_interactions": "from features.recent_interactions where tenant_id = $tenant",
    "collisions_with_known_items": (
        "from training.sampled_negatives as n semi join staging.stg_interactions as s "
        "using (tenant_id, user_id, item_id) where tenant_id = $tenant"
    ),
    "items_from_the_future": (
        "from training.sampled_negatives as n join training.item_availability as a "
        "using (tenant_id, item_id) where tenant_id = $tenant "
        "and a.available_at > date_trunc('hour', n.event_time)"
    ),
    "repeated_within_a_positive": (
        "from (select 1 from training.sampled_negatives where tenant_id = $tenant "
        "group by user_id, positive_item_id, item_id having count(*) > 1)"
    ),
}

_EXPECTED: Final = """
create or replace temp table expected as
with items as (
    select
        item_id,
        available_at,
        row_number() over (order by available_at, item_id) - 1 as rank
    from training.item_availability where tenant_id = $tenant
),
hours as (
    select available_at, max(rank) + 1 as available_count from items group by all
),
positives as (
    select p.user_id, p.item_id, date_trunc('hour', p.event_time) as hour, h.available_count
    from training.positives as p asof join hours as h
        on date_trunc('hour', p.event_time) >= h.available_at
    where p.tenant_id = $tenant
),
known as (
    select distinct s.user_id, s.item_id, i.rank
    from staging.stg_interactions as s join items as i using (item_id)
    where s.tenant_id = $tenant
),
counted as (
    select p.user_id, p.item_id, any_value(p.available_count) as available_count,
        any_value(p.available_count) - count(*) filter (k.rank < p.available_count) as eligible
    from positives as p join known as k using (user_id)
    group by p.user_id, p.item_id
),
chances as (
    select *, least(4, eligible) / eligible as chance from counted where eligible > 0
),
-- every positive gives its chance to the items before its prefix's end ...
given as (
    select available_count, sum(chance) as chance from chances group by available_count
),
reached as (
    select i.item_id, sum(g.chance) as chance
    from items as i join given as g on i.rank < g.available_count group by i.item_id
),
-- ... less those that its user knows
taken as (
    select k.item_id, sum(c.chance) as chance
    from chances as c join known as k on c.user_id = k.user_id and k.rank < c.available_count
    group by k.item_id
)
select item_id, reached.chance - coalesce(taken.chance, 0) as expected
from reached left join taken using (item_id)
"""

_CHI_SQUARE: Final = f"""
with drawn as (
    select item_id, count(*) as drawn
    from training.sampled_negatives where tenant_id = $tenant group by item_id
),
cells as (
    select coalesce(drawn, 0) as drawn, expected
    from expected left join drawn using (item_id) where expected >= {MIN_EXPECTED}
)
select
    count(*) as item_count,
    sum((drawn - expected) ** 2 / expected) / count(*) as chi_square_per_df,
    (select sum(expected) from expected) as expected_draws
from cells
"""


def figures(connection: duckdb.DuckDBPyConnection, tenant_id: str) -> dict[str, Any]:
    """Return counts, violations (0 in a correct set) and chi-square per degree of freedom.

    The cohort is every positive of the tenant; items expected fewer than five times are left out
    (chi-square is None when none is left). k is taken to be 4, and no interaction to lie behind a
    cutoff.
    """
    tenant = {"tenant": tenant_id}
    found: dict[str, Any] = {
        name: _row(connection, f"select count(*) {rows}", tenant)[0]
        for name, rows in _COUNTS.items()
    }
    connection.execute(_EXPECTED, tenant)
    items, chi_square, draws = _row(connection, _CHI_SQUARE, tenant)
    return {
        **found,
        "expected_draws": round(draws),
        "chi_square_items": items,
        "chi_square_per_df": None if items == 0 else round(chi_square, 4),
    }


def _row(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, str]
) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row
