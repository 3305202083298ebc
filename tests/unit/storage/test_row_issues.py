"""Findings of uploads: complete, in order, by page, until they are old."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ingest_service.settings import ServiceSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage import row_issues
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_issues import RowIssueStore


def rows(first: int, count: int) -> pl.DataFrame:
    """Findings of `count` lines."""
    return pl.DataFrame(
        {
            "line": range(first, first + count),
            "column": ["user_id"] * count,
            "code": ["missing_value"] * count,
            "reason": ['a "reason", with a comma'] * count,
            "place": [f"line {line}" for line in range(first, first + count)],
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> RowIssueStore:
    return RowIssueStore(Lake(LakeSettings(home=tmp_path)))


def test_pages_join_to_everything_whatever_the_row_groups(
    store: RowIssueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_issues, "ROW_GROUP_ROWS", 7)
    writer = store.writer("acme", "b1")
    for first in range(0, 100, 25):
        writer.write("errors", rows(first, 25))
    assert store.count("acme", "b1", "errors") == 0
    writer.finish()

    assert (store.count("acme", "b1", "errors"), store.count("acme", "b1", "warnings")) == (100, 0)
    for limit in (1, 6, 7, 8, 100, 1_000):
        lines: list[int | str] = []
        while page := store.page("acme", "b1", "errors", offset=len(lines), limit=limit):
            assert len(page) <= limit
            lines += [finding["line"] for finding in page]
        assert lines == list(range(100))
    text = b"".join(store.csv("acme", "b1", "errors"))
    assert pl.read_csv(text).equals(rows(0, 100))


def test_later_attempt_replaces_and_a_discarded_one_leaves_nothing(
    store: RowIssueStore, tmp_path: Path
) -> None:
    for count in (5, 3):
        writer = store.writer("acme", "b1")
        writer.write("errors", rows(1, count))
        writer.finish()
        writer.discard()
    dropped = store.writer("acme", "b1")
    dropped.write("errors", rows(1, 9))
    dropped.write("warnings", rows(1, 9))
    dropped.discard()
    dropped.discard()

    assert store.count("acme", "b1", "errors") == 3
    assert store.page("acme", "b1", "warnings", offset=0, limit=9) == []
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_old_ones_are_dropped_by_the_day_in_the_batch_id(store: RowIssueStore) -> None:
    today = datetime.now(UTC)
    ids = [f"{today - timedelta(days=age):%Y%m%dT%H%M%S}-x" for age in (0, 29, 31, 400)]
    for batch_id in ids:
        writer = store.writer("acme", batch_id)
        writer.write("errors", rows(1, 1))
        writer.finish()

    assert store.drop_older(timedelta(days=30)) == 2
    assert [store.count("acme", batch_id, "errors") for batch_id in ids] == [1, 1, 0, 0]


def test_the_setting_has_its_earlier_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETA_SERVICE_FINDINGS_DAYS", "7")
    assert ServiceSettings().row_issues_days == 7
    monkeypatch.setenv("ETA_SERVICE_ROW_ISSUES_DAYS", "9")
    assert ServiceSettings().row_issues_days == 9
    assert ServiceSettings(row_issues_days=3).row_issues_days == 3
