"""Clears away what killed processes left: the raw tables decide which batches there are."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import polars as pl
from deltalake import DeltaTable

from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import companion_table, delete_attempts
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.acknowledged import FOLDER, acknowledged
from lakehouse.storage.attempts import GIVEN_UP, commit_id_of, is_won
from lakehouse.storage.damage import Damage, readable_rows
from lakehouse.storage.faults import StorageError
from lakehouse.storage.stream_offsets import is_stream_batch

RECOVERY_WINDOW: Final = timedelta(days=30)
"""How far back unfinished batches are looked for."""


class _Attempt(NamedTuple):
    """An attempt at a batch or replay, of which the quarantine or the ledger has rows."""

    tenant_id: str
    data_type: str
    batch_id: str
    replay: int
    attempt: int
    known_at: datetime

    @property
    def commit_id(self) -> str:
        return commit_id_of(self.batch_id, self.replay)

    @property
    def raw_table(self) -> TableSpec:
        return RAW_TABLES[DataType(self.data_type)]


@dataclass(slots=True)
class Recovered:
    """What a recovery did: attempts whose rows it removed, and batches that it must not touch.

    `lost`: acknowledged, and not in raw: their rows beside raw stay as evidence. `damage` names
    what could not be read or cleared; the next start tries again.
    """

    removed: int = 0
    lost: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


def recover(sink: DeltaSink, grace: timedelta, has_ended: Callable[[str, str], bool]) -> Recovered:
    """Remove the rows of attempts that never reached raw and were never acknowledged.

    Looks at those of the last 30 days; batches from topics are their consumer's to clear
    (`stream.sink`). One may still be in flight in another process: it is left
    alone until it is older than `grace`, or `has_ended(tenant, commit id)` says that its process
    has given up. Before its rows go, raw is told that it is given up, so that it cannot be
    stored without them if it lives after all. What is damaged stops nothing else.
    """
    moment = datetime.now(UTC)
    first_day = (moment - RECOVERY_WINDOW).date()
    done = Recovered()
    reader = _Reader(sink, first_day.isoformat(), done)
    undecided = reader.undecided()
    answered: set[tuple[str, int]] = set()
    if undecided:
        try:
            kept = acknowledged(sink.lake, first_day, moment)
        except (OSError, pl.exceptions.PolarsError) as error:
            done.damage.append(f"{FOLDER} cannot be read ({type(error).__qualname__})")
            return done  # what was acknowledged is not known, so nothing may go
        asked = kept.filter(pl.col("batch_id").is_in([one.batch_id for one in undecided]))
        rows = asked.select("batch_id", "replay", "attempt").iter_rows()
        answered = {(commit_id_of(batch, replay), attempt) for batch, replay, attempt in rows}
    removed = set()
    for found in undecided:
        is_old = found.known_at <= moment - grace
        may_go = partial(_may_go, found, has_ended, is_old=is_old, is_answered=answered)
        try:
            if _clear(sink, found, may_go, done):
                removed.add((found.commit_id, found.attempt))
        except StorageError as error:
            done.damage.append(error.message)
    done.removed = len(removed)
    return done


def _may_go(
    found: "_Attempt",
    has_ended: Callable[[str, str], bool],
    *,
    is_old: bool,
    is_answered: Collection[tuple[str, int]],
) -> bool | None:
    """Whether an attempt that raw has not may be removed; None when it was acknowledged."""
    if (found.commit_id, found.attempt) in is_answered:
        return None
    return is_old or has_ended(found.tenant_id, found.commit_id)


def _clear(
    sink: DeltaSink, found: "_Attempt", may_go: Callable[[], bool | None], done: Recovered
) -> bool:
    """Remove what an attempt left beside raw, if it did not get there; return whether it did."""
    state = sink.state(found.raw_table, found.commit_id)
    if state == found.attempt:
        return False
    if not is_won(state):
        verdict = may_go()
        if verdict is None:
            done.lost.append(found.commit_id)
        if not verdict:
            return False
        sink.commit_if(found.raw_table, (), found.commit_id, GIVEN_UP, expected=state)
        if is_won(sink.state(found.raw_table, found.commit_id)):
            return False  # it was stored just now; the next start looks again
    mine = f"attempt = {found.attempt}"
    for spec in (companion_table(found.replay), OPS_INGEST_LEDGER):
        delete_attempts(sink, spec, found.tenant_id, found.batch_id, found.replay, mine)
    return True


class _Reader:
    """Reads the tables as far as they can be read."""

    def __init__(self, sink: DeltaSink, first_day: str, done: Recovered) -> None:
        self._sink = sink
        self._days = f"ingest_date >= date '{first_day}'"
        self._done = done

    def undecided(self) -> list[_Attempt]:
        """Return the attempts that raw has to be asked about.

        Most batches had one attempt and have rows in raw, which one look at its batch ids tells;
        the transaction is looked up for the others only, since each question reads the whole log.
        """
        stored = {
            batch_id
            for spec in RAW_TABLES.values()
            for (batch_id,) in self._distinct(spec, "batch_id")
        }
        attempts = self._attempts()
        rivals = Counter(found.commit_id for found in attempts)
        return [
            found
            for found in attempts
            if found.replay
            or (
                not is_stream_batch(found.batch_id)
                and (found.batch_id not in stored or rivals[found.commit_id] > 1)
            )
        ]

    def _attempts(self) -> set[_Attempt]:
        found: set[_Attempt] = set()
        for spec, replay in (
            (RAW_QUARANTINE, "0"),
            (OPS_REPLAY_OUTCOMES, "replay"),
            (OPS_INGEST_LEDGER, "replay"),
        ):
            columns = f"tenant_id, data_type, batch_id, {replay} as replay, attempt, known_at"
            found.update(_Attempt(*row) for row in self._distinct(spec, columns))
        return found

    def _distinct(self, spec: TableSpec, columns: str) -> list[tuple[Any, ...]]:
        def read(table: DeltaTable) -> tuple[pl.DataFrame, list[Damage]]:
            return readable_rows(table, spec, f"distinct {columns}", None, self._days)

        try:
            found, damage = self._sink.ask(spec, read)
        except StorageError as error:
            self._done.damage.append(error.message)
            return []
        self._done.damage += [str(one) for one in damage]
        return found.rows()
