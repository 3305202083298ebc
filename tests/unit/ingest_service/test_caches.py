"""What is kept in memory moves on by success alone: a read that fails once is a refusal."""

import asyncio
import sqlite3
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest_service.dedupe import stored_prints
from ingest_service.dedupe.window import FINGERPRINT_SCHEMA, DedupeWindows, Seen, Verdict
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.events.quotas import QuotaError, QuotaKeeper
from lakehouse.contracts.tenant import DataType, Quotas, SourceMapping
from lakehouse.control import connection
from lakehouse.control.cache import ReadCache
from lakehouse.control.connection import DatabaseUnreachable, connect
from lakehouse.control.suppressions import ListedHashes
from lakehouse.privacy.suppression import StoredSuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.ingesting import ingest, service

FILES = 4


def prints(keys: Iterable[int]) -> pl.DataFrame:
    """Fingerprints of these keys."""
    return pl.DataFrame([(key, 7) for key in keys], schema=FINGERPRINT_SCHEMA, orient="row")


class Files:
    """A history of some files of three rows, whose n-th read fails once."""

    def __init__(self, failing: int) -> None:
        self._failing = failing
        self._reads = 0

    def unseen(
        self, _tenant: str, _type: DataType, seen: Seen, _limit: int
    ) -> Iterable[pl.DataFrame]:
        """As the old history did: told first, then read."""
        fresh = [name for name in map(str, range(FILES)) if name not in seen.files]
        seen.files = {*map(str, range(FILES))}
        for name in fresh:
            self._reads += 1
            if self._reads == self._failing:
                raise OSError("cannot be read")
            yield prints(range(3 * int(name), 3 * int(name) + 3))


@pytest.mark.parametrize("failing", range(1, FILES + 1))
def test_window_knows_every_row_after_a_read_that_failed(failing: int) -> None:
    window, history = DedupeWindows().of("t", DataType.INTERACTIONS), Files(failing)

    with (
        pytest.raises(OSError, match="cannot be read"),
        window.batch(history, "t", DataType.INTERACTIONS),
    ):
        pass
    for _ in range(2):
        with window.batch(history, "t", DataType.INTERACTIONS) as session:
            verdicts = session.start().judge(prints(range(3 * FILES)))
            assert set(verdicts.to_list()) == {Verdict.DUPLICATE}


def test_a_lost_connection_never_makes_an_old_answer_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "control.db"
    connections = connect(f"sqlite:///{path}")
    cache, answer = ReadCache(connections), "before"
    assert cache.get("key", lambda: answer) == "before"

    class Broken:
        def execute(self, _text: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        def close(self) -> None:
            pass

    assert cache._counter is not None
    cache._counter._connection = Broken()  # type: ignore[assignment]
    with pytest.raises(DatabaseUnreachable):
        cache.get("key", lambda: answer)
    with sqlite3.connect(path) as other:  # meanwhile the key is revoked
        other.execute("create table revoked (key text)")
    answer = "after"
    assert cache.get("key", lambda: answer) == "after"
    assert cache.get("key", lambda: "not asked") == "after"
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0)
    cache.close()
    connections.close()


def test_an_answer_that_could_not_be_read_is_not_kept(tmp_path: Path) -> None:
    connections = connect(f"sqlite:///{tmp_path / 'control.db'}")
    cache = ReadCache(connections)

    def fail() -> str:
        raise DatabaseUnreachable(None)

    with pytest.raises(DatabaseUnreachable):
        cache.get("key", fail)
    assert cache.get("key", lambda: "read") == "read"
    cache.close()
    connections.close()


class Lists:
    """A suppression list whose n-th question fails once."""

    def __init__(self, failing: int) -> None:
        self.version = 1
        self._failing, self._asked = failing, 0

    def _ask(self) -> None:
        self._asked += 1
        if self._asked == self._failing:
            raise DatabaseUnreachable(None)

    def suppression_version(self, _tenant: str) -> int:
        """Return the version."""
        self._ask()
        return self.version

    def suppressed(self, _tenant: str) -> ListedHashes:
        """Return the list."""
        self._ask()
        return ListedHashes(self.version, "k", frozenset({str(self.version)}), frozenset())

    def mapping_versions(self, _tenant: str) -> tuple[dict[str, SourceMapping], ...]:
        """Return none."""
        return ()


@pytest.mark.parametrize("failing", [3, 4])
def test_an_older_suppression_list_is_never_used_for_a_newer_one(failing: int) -> None:
    store = Lists(failing)
    lists = StoredSuppressionList(store)
    assert lists.current("t").hashes == {"1"}

    store.version = 2
    with pytest.raises(DatabaseUnreachable):
        lists.current("t")
    assert lists.current("t").hashes == {"2"}


class Usage:
    """Counts of a day; fails once when asked, and once when told."""

    def __init__(self, error: Exception) -> None:
        self.total = 10
        self._errors = [error, error]

    def of(self, _tenant: str, _day: date) -> int:
        """Return the count."""
        if len(self._errors) == 2:
            raise self._errors.pop()
        return self.total

    def add(self, _day: date, events: dict[str, int]) -> dict[str, int]:
        """Add to it."""
        if self._errors:
            raise self._errors.pop()
        self.total += sum(events.values())
        return {"t": self.total}


@pytest.mark.parametrize("error", [DatabaseUnreachable(None), OSError("away")])
def test_a_days_count_is_neither_guessed_nor_forgotten(error: Exception) -> None:
    usage = Usage(error)
    keeper, quotas = QuotaKeeper(usage), Quotas(events_per_day=12, events_per_second=None)

    with pytest.raises(type(error)):
        keeper.take("t", quotas, 2)
    keeper.take("t", quotas, 2)
    for _ in range(2):
        asyncio.run(keeper.stop())
    assert usage.total == 12
    with pytest.raises(QuotaError):
        keeper.take("t", quotas, 1)


def test_rows_are_known_after_a_data_file_was_read_at_the_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    text = "event_id,user_id,item_id,interaction_type,timestamp\ne1,u,i,view,1767225600000\n"
    assert ingest(service(DeltaSink(Lake(lake))), tmp_path, text, "b1").counts.stored == 1
    read, tries = stored_prints._read, []

    def failing_once(*args: Any) -> tuple[pl.DataFrame, int]:
        tries.append(args)
        if len(tries) == 1:
            raise OSError(5, "injected")
        return read(*args)

    monkeypatch.setattr(stored_prints, "_read", failing_once)
    counts = ingest(service(DeltaSink(Lake(lake))), tmp_path, text, "b2").counts
    assert (counts.stored, counts.duplicate, len(tries)) == (0, 1, 2)
