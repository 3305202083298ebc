"""Draws by popularity and within the category, as DuckDB computes the models' SQL, by brute force.

`compared` counts over all items for each user and day, which the models never do.
"""

import json
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import polars as pl
import pytest

from benchmarks.negatives import CATEGORY, EXPONENTS, compared
from benchmarks.training.duck import SHIMS, translated
from benchmarks.training.generator import FIRST_EVENT, Log
from tests.support.macros import macros

PAIR = {"tenant_id": "string", "user_id": "string", "item_id": "string"}
ITEM = {"tenant_id": "string", "item_id": "string"}
TABLES: dict[str, Any] = {
    "interactions": {**PAIR, "event_time": "timestamp"},
    "pairs": {**PAIR, "positive_time": "timestamp"},
    "item_availability": {**ITEM, "available_at": "timestamp"},
    "item_hours": {**ITEM, "event_hour": "timestamp", "interaction_count": "bigint"},
    "item_history": {
        **ITEM,
        "category": "string",
        "valid_from": "timestamp",
        "valid_until": "timestamp",
    },
    "settings": {
        "tenant_id": "string",
        "seed": "bigint",
        "negatives_per_positive": "int",
        "negatives": "string",
    },
    "lines": {
        **ITEM,
        "line": "string",
        **dict.fromkeys(("popularity", "weight", "place", "line_weight"), "bigint"),
        **dict.fromkeys(("line_count", "longest", "bucket_length"), "bigint"),
        "period": "int",
    },
}
SAMPLING = (
    *("tenant_setting", "sampling_ranks", "draws", "drawn_ranks", "sampled_negatives"),
    *("negative_ways", "draw_lines", "weighted_negatives"),
)
LOG = Log(4_000)
ROWS = pl.concat(LOG.pieces())
CATEGORIES = LOG.catalogue().select("item_id", "category").unique()


def draws(rows: pl.DataFrame, popularity: int, category: int, exponent: float) -> pl.DataFrame:
    """What the models' SQL draws for these shares, in ten-thousandths."""
    variables = {"seed": 42, "negatives_per_positive": 4}
    found = macros(*(f"sampling/{name}.sql" for name in SAMPLING), var=variables.__getitem__)
    events = ("item_availability", "item_hours", "item_history", "interactions")
    lines = found["draw_lines"]("settings", *events, has_category=True)
    text = ",\n".join(
        (
            found["uniform_pairs"]("pairs", "settings", has_ways=True),
            found["sampled_negatives"](
                "uniform_pairs", "item_availability", "pairs", "positive_time", "settings"
            ),
            found["weighted_negatives"]("lines", "pairs", "item_history"),
        )
    )
    told = {"popularity": popularity, "category": category, "exponent": exponent, "period_days": 1}
    plain = rows.with_columns(pl.col("event_time").dt.replace_time_zone(None)).to_arrow()
    items = CATEGORIES.to_arrow()
    with duckdb.connect() as database:
        for shim in SHIMS:
            database.execute(shim)
        database.execute(
            "create macro unix_date(day) as datediff('day', date '1970-01-01', day);"
            "create macro timestamp_seconds(n) as make_timestamp((n * 1000000)::bigint)"
        )
        database.register("plain", plain)
        database.register("items", items)
        for statement in (
            "interactions as select 't' as tenant_id, * from plain",
            "pairs as select tenant_id, user_id, item_id, min(event_time) as positive_time "
            "from interactions group by all",
            "item_availability as select tenant_id, item_id, date_trunc('hour', min(event_time)) "
            "as available_at from interactions group by all",
            "item_hours as select tenant_id, item_id, date_trunc('hour', event_time) as event_hour,"
            " count(*)::bigint as interaction_count from interactions group by all",
            "item_history as select 't' as tenant_id, item_id, category, "
            f"timestamp '{FIRST_EVENT:%Y-%m-%d}' as valid_from, null::timestamp as valid_until "
            "from items",
            "settings as select 't' as tenant_id, null::bigint as seed, "
            f"null::int as negatives_per_positive, '{json.dumps(told)}' as negatives",
            f"lines as {translated(lines, TABLES)}",
        ):
            database.execute(f"create table {statement}")
        made = database.sql(
            translated(f"with {text} select * from weighted_negatives", TABLES)
        ).to_arrow_table()
    return pl.DataFrame(made).rename({"positive_item_id": "anchor_item_id"})


@cache
def mixed() -> pl.DataFrame:
    return draws(ROWS, 3_000, 3_000, 0.75)


@pytest.mark.parametrize("way", [*EXPONENTS, CATEGORY])
def test_draws_are_as_likely_as_they_say_and_new_to_their_user(way: str) -> None:
    exponent = EXPONENTS.get(way)
    shares = (0, 10_000) if exponent is None else (10_000, 0)
    made = draws(ROWS, *shares, exponent or 0.0)
    drawn = made.filter(pl.col("drawn_by") == (CATEGORY if exponent is None else "popularity"))
    categories = CATEGORIES if exponent is None else None
    found = compared(ROWS, drawn, exponent=exponent, categories=categories)
    assert found.positives > 1_000
    assert (found.known, found.from_the_future, found.repeated) == (0, 0, 0)
    assert found.largest_error_of_probability < 1e-4, "weights are whole numbers"
    # the four draws of a positive are not independent of each other
    spread = (8 / found.degrees_of_freedom) ** 0.5
    assert abs(found.chi_squared_per_df - 1) < 4 * spread


def test_a_positive_draws_in_one_way_and_the_shares_are_those_asked_for() -> None:
    key = ["user_id", "anchor_item_id"]
    positives = mixed().group_by(key).agg(pl.col("drawn_by").unique())
    assert positives["drawn_by"].list.len().max() == 1
    # on the first day, and where an item has no category yet, draws are uniform
    later = FIRST_EVENT.replace(tzinfo=None) + timedelta(days=1)
    dated = mixed().filter(pl.col("event_time") >= later).unique(key)
    shares = dict(dated["drawn_by"].value_counts(normalize=True).iter_rows())
    assert shares["popularity"] == pytest.approx(0.3, abs=0.05)
    assert 0.15 < shares["category"] < 0.35


def test_what_happens_later_changes_no_earlier_draw() -> None:
    """Of users that do nothing later: what they know is left out whenever it was."""
    end = FIRST_EVENT + timedelta(days=5)
    before = ROWS.filter(pl.col("event_time") < end)
    active = ROWS.filter(pl.col("event_time") >= end).select("user_id").unique()
    early, late = (
        made.join(active, on="user_id", how="anti")
        .filter(pl.col("event_time") < datetime.fromisoformat(f"{end:%Y-%m-%d}"))
        .sort("user_id", "anchor_item_id", "draw_index")
        for made in (draws(before, 3_000, 3_000, 0.75), mixed())
    )
    assert early.height > 500
    assert early.equals(late)
