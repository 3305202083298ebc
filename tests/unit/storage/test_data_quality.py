"""Reading the measures of quality: the newest of each tenant and data type, and their history."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.contracts.tables import DATA_QUALITY, OPS_DATA_QUALITY
from lakehouse.settings import LakeSettings
from lakehouse.storage.data_quality import newest_quality, quality_rows
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def measured(tenant: str, hours: float, data_type: str = "interactions") -> dict[str, Any]:
    """A row measured so long after noon; its score tells when."""
    counts = {name: 0 for name in DATA_QUALITY.names if name.endswith("_count")}
    return {
        "tenant_id": tenant,
        "data_type": data_type,
        "run_id": f"run {hours}",
        "measured_at": NOON + timedelta(hours=hours),
        "score": hours,
        "ledger_version": 1,
        **counts,
    }


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake in which two tenants were measured."""
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    rows = [
        measured("acme", 1),
        measured("acme", 2, "items"),
        measured("acme", 3.5),
        measured("other", 4),
    ]
    for row in rows:
        table = pa.Table.from_pylist([row], DATA_QUALITY)
        write_deltalake(Lake(settings).table(OPS_DATA_QUALITY), table, mode="append")
    return settings


def scores(frame: Any) -> list[tuple[str, str, float]]:
    """What the rows are, in their order."""
    return list(frame.select("tenant_id", "data_type", "score").iter_rows())


def test_newest_row_of_each_tenant_and_data_type(lake: LakeSettings) -> None:
    found = newest_quality(cache(Lake(lake).table))
    assert scores(found) == [
        ("acme", "interactions", 3.5),
        ("acme", "items", 2.0),
        ("other", "interactions", 4.0),
    ]
    assert found.columns == DATA_QUALITY.names
    assert scores(newest_quality(cache(Lake(lake).table), "other")) == [
        ("other", "interactions", 4.0)
    ]


def test_history_is_oldest_first_and_begins_where_it_is_told(lake: LakeSettings) -> None:
    table = cache(Lake(lake).table)
    assert [score for *_, score in scores(quality_rows(table, "acme"))] == [1.0, 2.0, 3.5]
    later = quality_rows(table, since=NOON + timedelta(hours=2))
    assert [score for *_, score in scores(later)] == [3.5, 4.0]


def test_nothing_was_measured_yet(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    assert newest_quality(cache(Lake(settings).table)).is_empty()
    assert quality_rows(cache(Lake(settings).table), "acme").columns == DATA_QUALITY.names
