"""The yardsticks themselves: translated SQL, counted violations, fitted exponents."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from benchmarks.training.correctness import figures
from benchmarks.training.duck import SHIMS, translated
from benchmarks.training.growth import exponent, growth
from benchmarks.training.plot import draw

TABLES = {"s": {"t": {"user_id": "string", "is_known": "int", "event_time": "timestamp"}}}


def test_a_running_count_stays_64_bits_wide() -> None:
    sql = translated(
        "select sum(is_known) over (partition by user_id order by event_time) as n,"
        " cast(null as timestamp) as t from s.t",
        TABLES,
    )
    connection = duckdb.connect()
    connection.execute("create schema s")
    connection.execute("create table s.t (user_id varchar, is_known int, event_time timestamp)")
    kinds = {row[0]: row[1] for row in connection.execute(f"describe {sql}").fetchall()}
    assert kinds == {"n": "BIGINT", "t": "TIMESTAMP"}


def test_pmod_is_never_negative_and_the_hash_fits_64_bits() -> None:
    connection = duckdb.connect()
    for shim in SHIMS:
        connection.execute(shim)
    row = connection.execute("select pmod(-7, 4), pmod(7, 4), typeof(xxhash64('a'))").fetchone()
    assert row == (1, 3, "BIGINT")


@pytest.fixture
def world() -> duckdb.DuckDBPyConnection:
    """Three users, six items of which the last comes late; negatives drawn by hand."""
    start = datetime(2026, 5, 1, 10)
    connection = duckdb.connect()
    for statement in (
        "create schema training",
        "create schema staging",
        "create schema features",
        "create table training.item_availability"
        " (tenant_id text, item_id text, available_at timestamp)",
        "create table staging.stg_interactions (tenant_id text, user_id text, item_id text)",
        "create table training.positives"
        " (tenant_id text, user_id text, item_id text, event_time timestamp)",
        "create table training.sampled_negatives (tenant_id text, user_id text, item_id text,"
        " positive_item_id text, event_time timestamp)",
        "create table features.recent_interactions (tenant_id text)",
    ):
        connection.execute(statement)
    for number in range(6):
        hour = start + timedelta(hours=5 if number == 5 else 0)
        connection.execute(
            "insert into training.item_availability values ('t', ?, ?)", [f"i{number}", hour]
        )
    for user in ("u1", "u2", "u3"):
        connection.execute("insert into staging.stg_interactions values ('t', ?, 'i0')", [user])
        connection.execute(
            "insert into training.positives values ('t', ?, 'i0', ?)",
            [user, start + timedelta(minutes=30)],
        )
        for item in ("i1", "i2", "i3", "i4"):
            connection.execute(
                "insert into training.sampled_negatives values ('t', ?, ?, 'i0', ?)",
                [user, item, start + timedelta(minutes=30)],
            )
    return connection


def test_a_correct_set_has_no_violation_and_the_expected_draws(
    world: duckdb.DuckDBPyConnection,
) -> None:
    found = figures(world, "t")
    assert found["positives"] == 3
    assert found["sampled_negatives"] == found["expected_draws"] == 12
    assert found["collisions_with_known_items"] == 0
    assert found["items_from_the_future"] == 0
    assert found["repeated_within_a_positive"] == 0
    expected = dict(world.execute("select item_id, expected from expected").fetchall())
    assert expected == pytest.approx({"i0": 0, "i1": 3, "i2": 3, "i3": 3, "i4": 3})


@pytest.mark.parametrize(
    ("item", "violation"),
    [
        pytest.param("i0", "collisions_with_known_items", id="the user knows the item"),
        pytest.param("i5", "items_from_the_future", id="the item came later"),
        pytest.param("i1", "repeated_within_a_positive", id="the item was drawn before"),
    ],
)
def test_each_violation_is_counted(
    world: duckdb.DuckDBPyConnection, item: str, violation: str
) -> None:
    world.execute(
        "insert into training.sampled_negatives values ('t', 'u1', ?, 'i0', '2026-05-01 10:30')",
        [item],
    )
    found = figures(world, "t")
    names = ("collisions_with_known_items", "items_from_the_future", "repeated_within_a_positive")
    assert {name for name in names if found[name]} == {violation}


def test_draws_that_follow_popularity_fail_chi_square(world: duckdb.DuckDBPyConnection) -> None:
    world.execute(
        "insert into staging.stg_interactions select 't', 'v' || i, 'i0' from range(200) as r(i)"
    )
    world.execute(
        "insert into training.positives"
        " select 't', 'v' || i, 'i0', timestamp '2026-05-01 10:30' from range(200) as r(i)"
    )
    fair = "insert into training.sampled_negatives select 't', 'v' || i, {}, 'i0',"
    fair += " timestamp '2026-05-01 10:30' from range(200) as r(i), range(1, 5) as d(j)"
    world.execute(fair.format("'i' || j"))
    assert figures(world, "t")["chi_square_per_df"] < 1
    world.execute("delete from training.sampled_negatives where user_id like 'v%'")
    world.execute(fair.format("case when i < 150 then 'i1' else 'i' || j end"))
    assert figures(world, "t")["chi_square_per_df"] > 50


def test_exponents_are_those_of_the_powers() -> None:
    sizes = [1_500_000, 5_000_000, 20_000_000]
    assert exponent(sizes, [3.0, 10.0, 40.0]) == pytest.approx(1.0)
    cases = [
        {"interactions": n, "full_refresh": {"by_model": {"a": n / 1e6, "b": (n / 1e6) ** 2}}}
        for n in sizes
    ]
    fitted = growth(cases)
    assert (fitted["a"], fitted["b"]) == (pytest.approx(1), pytest.approx(2))
    assert 1 < fitted["total"] < 2


def test_both_pictures_can_be_drawn(tmp_path: Path) -> None:
    seconds = {"user_features": 2.0, "sampled_negatives": 9.0}
    pair = {engine: {"seconds": seconds} for engine in ("spark", "duckdb")}
    draw({"generated": {"interactions": 5, "pairs": [pair]}, "news": {}}, tmp_path / "pairs.png")
    cases = [{"interactions": n, "full_refresh": {"by_model": {"a": float(n)}}} for n in (10, 100)]
    draw({"scale": cases, "growth": growth(cases)}, tmp_path / "growth.png")
    assert all(path.stat().st_size > 5_000 for path in tmp_path.glob("*.png"))
    assert len(list(tmp_path.iterdir())) == 2
