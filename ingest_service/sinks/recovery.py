"""Clears away what killed processes left: the raw tables decide which batches there are."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import polars as pl
from deltalake import QueryBuilder

from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import aside_table, delete_attempts
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.attempts import GIVEN_UP, commit_id_of, is_won
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


def recover(sink: DeltaSink, grace: timedelta, has_ended: Callable[[str, str], bool]) -> int:
    """Remove the rows of attempts that never reached raw; return how many attempts.

    Looks at those of the last 30 days; batches from topics are their consumer's to clear
    (`stream.sink`). One may still be in flight in another process: it is left
    alone until it is older than `grace`, or `has_ended(tenant, commit id)` says that its process
    has given up. Before its rows go, raw is told that it is given up, so that it cannot be
    stored without them if it lives after all.
    """
    moment = datetime.now(UTC)
    lost = set()
    for found in _undecided(sink, (moment - RECOVERY_WINDOW).date().isoformat()):
        state = sink.state(found.raw_table, found.commit_id)
        if state == found.attempt:
            continue
        if not is_won(state):
            is_old = found.known_at <= moment - grace
            if not (is_old or has_ended(found.tenant_id, found.commit_id)):
                continue
            sink.commit_if(found.raw_table, (), found.commit_id, GIVEN_UP, expected=state)
            if is_won(sink.state(found.raw_table, found.commit_id)):
                continue  # it was stored just now; the next start looks again
        mine = f"attempt = {found.attempt}"
        for spec in (aside_table(found.replay), OPS_INGEST_LEDGER):
            delete_attempts(sink, spec, found.tenant_id, found.batch_id, found.replay, mine)
        lost.add((found.commit_id, found.attempt))
    return len(lost)


def _undecided(sink: DeltaSink, first_day: str) -> list[_Attempt]:
    """Attempts that raw has to be asked about.

    Most batches had one attempt and have rows in raw, which one look at its batch ids tells; the
    transaction is looked up for the others only, since each question reads the whole log.
    """
    stored = {
        batch_id
        for spec in RAW_TABLES.values()
        for (batch_id,) in _distinct(sink, spec, "batch_id", first_day)
    }
    attempts = _attempts(sink, first_day)
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


def _attempts(sink: DeltaSink, first_day: str) -> set[_Attempt]:
    found: set[_Attempt] = set()
    for spec, replay in (
        (RAW_QUARANTINE, "0"),
        (OPS_REPLAY_OUTCOMES, "replay"),
        (OPS_INGEST_LEDGER, "replay"),
    ):
        columns = f"tenant_id, data_type, batch_id, {replay} as replay, attempt, known_at"
        found.update(_Attempt(*row) for row in _distinct(sink, spec, columns, first_day))
    return found


def _distinct(
    sink: DeltaSink, spec: TableSpec, columns: str, first_day: str
) -> list[tuple[Any, ...]]:
    query = f"select distinct {columns} from batches where ingest_date >= date '{first_day}'"  # noqa: S608
    found = QueryBuilder().register("batches", sink.table(spec)).execute(query)
    return pl.DataFrame(found).rows()
