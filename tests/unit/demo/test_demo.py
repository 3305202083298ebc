"""The demonstration data: the same bytes each time, and true to what it promises."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.tenant import InteractionType
from lakehouse.demo.generate import DemoFiles, generate
from lakehouse.demo.tenants import ACME, DAY, DEMO_TENANTS, END, GLOBEX, START, DemoTenant

_GENERATE = """
import sys
from pathlib import Path
from lakehouse.demo.generate import generate
from lakehouse.demo.tenants import DEMO_TENANTS
for tenant in DEMO_TENANTS:
    generate(tenant.sized(interactions=3000, items=150), Path(sys.argv[1]) / tenant.tenant_id)
"""

_ITEM_COLUMNS = [
    "item_id", "title", "category", "price", "available_from", "is_active", "updated_at",
]  # fmt: skip
_COLUMNS = [
    "user_id", "item_id", "interaction_type", "timestamp", "rating", "device_type", "location",
    "session_id",
]  # fmt: skip


@pytest.fixture(scope="module", params=DEMO_TENANTS, ids=lambda tenant: tenant.tenant_id)
def tenant(request: pytest.FixtureRequest) -> DemoTenant:
    found: DemoTenant = request.param
    return found


@pytest.fixture(scope="module")
def files(tenant: DemoTenant, tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return generate(tenant, tmp_path_factory.mktemp(tenant.tenant_id))


@pytest.fixture(scope="module")
def interactions(files: DemoFiles) -> pl.DataFrame:
    return pl.read_csv(files.interactions, schema_overrides={"rating": pl.Float64})


@pytest.fixture(scope="module")
def items(files: DemoFiles) -> pl.DataFrame:
    return pl.read_csv(files.items, schema_overrides={"price": pl.String})


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for name, threads in (("one", "1"), ("two", "2")):
        subprocess.run(
            [sys.executable, "-c", _GENERATE, str(tmp_path / name)],
            env={**os.environ, "PYTHONHASHSEED": threads, "POLARS_MAX_THREADS": threads},
            check=True,
        )
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    assert len(_hashes(tmp_path / "one")) == 4


def test_another_seed_writes_other_bytes(tmp_path: Path) -> None:
    small = ACME.sized(interactions=500, items=40)
    generate(small, tmp_path / "one")
    generate(small.sized(seed=small.seed + 1), tmp_path / "two")
    one, two = _hashes(tmp_path / "one"), _hashes(tmp_path / "two")
    assert all(one[name] != two[name] for name in one)


def test_the_files_have_the_contract_s_columns(
    tenant: DemoTenant, interactions: pl.DataFrame, items: pl.DataFrame
) -> None:
    assert items.columns == _ITEM_COLUMNS
    assert interactions.columns == (["event_id"] if tenant.has_event_ids else []) + _COLUMNS
    assert set(interactions["interaction_type"]) <= {str(kind) for kind in InteractionType}
    required = interactions.select("user_id", "item_id", "interaction_type", "timestamp")
    assert required.null_count().sum_horizontal().item() == 0


def test_the_sizes_are_those_asked_for(
    tenant: DemoTenant, interactions: pl.DataFrame, items: pl.DataFrame
) -> None:
    assert len(interactions) == tenant.interaction_count
    assert items["item_id"].n_unique() == tenant.item_count


def test_the_history_spans_about_sixty_days(interactions: pl.DataFrame) -> None:
    times = interactions["timestamp"]
    assert times.is_sorted()
    assert times.is_between(START, END).all()
    assert (int(times[-1]) - int(times[0])) / DAY > 55


def test_every_event_can_be_told_from_the_others(
    tenant: DemoTenant, interactions: pl.DataFrame
) -> None:
    identity = ["user_id", "item_id", "interaction_type", "timestamp"]
    assert interactions.n_unique(identity) == len(interactions)
    if tenant.has_event_ids:
        assert interactions["event_id"].n_unique() == len(interactions)


def test_no_event_is_older_than_its_item(interactions: pl.DataFrame, items: pl.DataFrame) -> None:
    since = items.group_by("item_id").agg(pl.col("available_from").min())
    joined = interactions.join(since, on="item_id", how="left", validate="m:1")
    assert joined.filter(pl.col("timestamp") < pl.col("available_from")).is_empty()
    assert set(interactions["item_id"]) <= set(items["item_id"])


def test_some_catalogue_rows_come_after_the_first_visitors(
    interactions: pl.DataFrame, items: pl.DataFrame
) -> None:
    first_seen = interactions.group_by("item_id").agg(pl.col("timestamp").min())
    known = items.group_by("item_id").agg(
        pl.col("updated_at").min(), pl.col("available_from").is_null().all().alias("is_unknown")
    )
    late = known.join(first_seen, on="item_id").filter(
        pl.col("is_unknown") & (pl.col("updated_at") > pl.col("timestamp"))
    )
    assert 0 < len(late) < 0.05 * known.height
    assert len(items) > items["item_id"].n_unique(), "some items change"


def test_a_few_items_and_visitors_make_most_of_the_events(interactions: pl.DataFrame) -> None:
    for column, share in (("item_id", 0.3), ("user_id", 0.3)):
        counts = interactions[column].value_counts(sort=True)["count"]
        assert counts.head(len(counts) // 10).sum() > share * len(interactions)
        assert int(counts[0]) < 0.1 * len(interactions), "no single one makes the data"


def test_a_session_belongs_to_one_visitor_and_is_short(interactions: pl.DataFrame) -> None:
    sessions = interactions.group_by("session_id").agg(
        pl.col("user_id", "device_type", "location").n_unique(),
        (pl.col("timestamp").max() - pl.col("timestamp").min()).alias("length"),
        pl.len(),
    )
    assert sessions.select(pl.col("user_id", "device_type", "location").max()).row(0) == (1, 1, 1)
    assert int(sessions["length"].max()) < DAY // 4  # type: ignore[arg-type]
    assert int(sessions["len"].median()) > 1  # type: ignore[arg-type]


def test_the_shop_sells_rates_and_prices(tmp_path: Path) -> None:
    files = generate(ACME, tmp_path)
    interactions, items = pl.read_csv(files.interactions), pl.read_csv(files.items)
    assert set(interactions["interaction_type"]) == {str(kind) for kind in InteractionType}
    ratings = interactions["rating"].drop_nulls()
    assert set(ratings) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert len(ratings) < 0.1 * len(interactions)
    assert items["price"].is_between(1, 1000).all()
    assert 20 < float(items["price"].median()) < 150  # type: ignore[arg-type]


def test_the_news_site_sells_nothing_and_drops_old_articles(tmp_path: Path) -> None:
    files = generate(GLOBEX, tmp_path)
    interactions, items = pl.read_csv(files.interactions), pl.read_csv(files.items)
    assert "purchase" not in set(interactions["interaction_type"])
    assert items["price"].null_count() == len(items)
    assert not items["is_active"].all()
    seen = interactions.group_by("item_id").agg(
        (pl.col("timestamp").quantile(0.9) - pl.col("timestamp").min()).alias("life")
    )
    assert float(seen["life"].median()) < 7 * DAY  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    interactions=st.integers(1, 800),
    items=st.integers(1, 60),
    users=st.integers(1, 60),
)
def test_every_purchase_follows_a_view(
    tmp_path_factory: pytest.TempPathFactory, seed: int, interactions: int, items: int, users: int
) -> None:
    shop = ACME.sized(interactions=interactions, items=items, users=users, seed=seed)
    frame = pl.read_csv(generate(shop, tmp_path_factory.mktemp("shop")).interactions)
    assert len(frame) == interactions
    pair = ["user_id", "item_id"]
    views = frame.filter(pl.col("interaction_type") == "view")
    first_view = views.group_by(pair).agg(pl.col("timestamp").min().alias("viewed_at"))
    bought = frame.filter(pl.col("interaction_type") == "purchase")
    joined = bought.join(first_view, on=pair, how="left")
    assert (joined["viewed_at"] < joined["timestamp"]).fill_null(value=False).all()
