"""MovieLens 100k, unedited, over HTTP, through the models, against a brute-force count."""

from pathlib import Path

import polars as pl
import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import OPS_INGEST_LEDGER
from tests.support.lake import DERIVED_TABLES, SessionLake, generate_code
from tests.support.movielens import MOVIELENS
from tests.support.service import RunningService

pytestmark = pytest.mark.nightly

TENANT = "movielens"


@pytest.fixture(scope="module")
def movielens(lake: SessionLake, real_data: Path) -> RunningService:
    """The file uploaded twice, built after each."""
    session = SparkSession.active()
    generate_code(session, wanted=True)  # these are enough rows for it
    service = RunningService(lake.settings.home_dir)
    body = (real_data / "ml-100k" / "ml-100k.inter").read_bytes()
    service.add_tenant(TENANT, MOVIELENS)
    service.start()
    try:
        assert service.upload(TENANT, body, mapping=TENANT).json()["rows_accepted"] == 100_000
        lake.build()
        files = lake.data_files()
        tables = {name: lake.table(name, TENANT) for name in DERIVED_TABLES}
        again = service.upload(TENANT, body, mapping=TENANT).json()
        assert (again["rows_accepted"], again["duplicates"]) == (0, 100_000)
        lake.dbt("run")
        assert {p for p in lake.data_files() - files if "ingest_ledger" not in str(p)} == set()
        assert all(lake.table(name, TENANT).equals(held) for name, held in tables.items())
    finally:
        service.stop()
        generate_code(session, wanted=False)
    return service


def test_row_counts(lake: SessionLake, movielens: RunningService) -> None:
    counts = {name.split(".")[1]: lake.table(name, TENANT).height for name in DERIVED_TABLES}
    assert counts["stg_interactions"] == 100_000
    assert counts["user_features"] == 943
    assert counts["item_features"] == 1_682
    assert counts["recent_interactions"] == 39_929
    assert counts["positives"] == 55_375
    assert counts["sampled_negatives"] == 221_448
    (totals,) = lake.table("training.training_contents", TENANT).to_dicts()
    assert totals["positives_without_negatives_count"] == 13
    assert totals["shortfall_count"] == 4 * 55_375 - 221_448


def test_the_ledger_says_100_000_duplicates(movielens: RunningService) -> None:
    rows = movielens.rows(OPS_INGEST_LEDGER, TENANT)
    assert sorted((row["received"], row["stored"], row["duplicate"]) for row in rows) == [
        (100_000, 0, 100_000),
        (100_000, 100_000, 0),
    ]


def test_no_negative_is_known_from_the_future_or_repeated(
    lake: SessionLake, movielens: RunningService
) -> None:
    drawn = lake.table("training.sampled_negatives", TENANT)
    known = lake.table("staging.stg_interactions", TENANT).select("user_id", "item_id")
    available = lake.table("training.item_availability", TENANT)
    assert drawn.join(known, on=["user_id", "item_id"], how="semi").is_empty()
    dated = drawn.join(available, on="item_id")
    assert dated.height == drawn.height
    assert dated.filter(pl.col("available_at") > pl.col("event_time")).is_empty()
    assert not drawn.select("user_id", "positive_item_id", "item_id").is_duplicated().any()


def test_eligibility_equals_a_brute_force_count(
    lake: SessionLake, movielens: RunningService
) -> None:
    """users × items, which the models never build, is small enough here."""
    staged = lake.table("staging.stg_interactions", TENANT)
    available = lake.table("training.item_availability", TENANT)
    known = staged.select("user_id", "item_id").unique()
    unknown = (staged.select("user_id").unique().join(available, how="cross")).join(
        known, on=["user_id", "item_id"], how="anti"
    )
    expected = (
        lake.table("training.positives", TENANT)
        .select("user_id", positive_item_id="item_id", hour=pl.col("event_time").dt.truncate("1h"))
        .join(unknown, on="user_id", how="left")
        .group_by("user_id", "positive_item_id")
        .agg(eligible_count=(pl.col("available_at") <= pl.col("hour")).sum().cast(pl.Int64))
        .filter(pl.col("eligible_count") > 0)
        .with_columns(drawn_count=pl.min_horizontal(pl.lit(4), "eligible_count").cast(pl.Int64))
        .sort("user_id", "positive_item_id")
    )
    found = (
        lake.table("training.sampled_negatives", TENANT)
        .group_by("user_id", "positive_item_id")
        .agg(pl.col("eligible_count").first(), drawn_count=pl.len().cast(pl.Int64))
        .sort("user_id", "positive_item_id")
    )
    assert found.equals(expected)
