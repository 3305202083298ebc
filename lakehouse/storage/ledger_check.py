"""Does the ledger add up, and do raw, quarantine and outcomes hold what it says?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REMOVALS,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.storage.ledger import COUNTS, counting, ledger_rows, query
from lakehouse.storage.removals import removed_rows
from lakehouse.storage.tables import open_table

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakehouse.settings import LakeSettings

BATCH: Final = ("tenant_id", "batch_id")
_MARKS: Final = "tenant_id, data_type, batch_id, replay, attempt, known_at"


@dataclass(frozen=True, slots=True)
class WrongBatch:
    """A batch that does not add up, and in what."""

    tenant_id: str
    source: str | None
    batch_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What a check found. `unfinished` batches are under way, or go at the next start."""

    batches: int
    received: int
    wrong: tuple[WrongBatch, ...]
    unfinished: int


def check_ledger(
    settings: LakeSettings, *, tenant_id: str | None = None, since: date | None = None
) -> LedgerCheck:
    """Compare the ledger with the tables, batch by batch; may run beside writers.

    `since` leaves out batches of earlier days. Reads the batch ids of every row: about a second
    per ten million. Only the last hour is asked for its attempts, and what does not add up.
    """
    # Raw is opened first and a batch commits to it last: what raw has, the others have, too.
    tables = {
        spec: open_table(settings, spec)
        for spec in (
            *RAW_TABLES.values(),
            OPS_INGEST_LEDGER,
            OPS_REPLAY_OUTCOMES,
            RAW_QUARANTINE,
            OPS_REMOVALS,
        )
    }
    check = _Check(tables, tenant_id, since, datetime.now(UTC))
    sides = check.sides([])
    doubted = _problems(sides)["batch_id"].to_list()
    if doubted:
        sides = check.sides(doubted)
    wrong = _problems(sides).sort(BATCH)
    return LedgerCheck(
        batches=sides.filter(pl.col("entries") > 0).height,
        received=int(sides["received"].sum()),
        wrong=tuple(WrongBatch(*row) for row in wrong.iter_rows()),
        unfinished=check.unfinished,
    )


class _Check:
    def __init__(
        self,
        tables: dict[TableSpec, DeltaTable],
        tenant_id: str | None,
        since: date | None,
        now: datetime,
    ) -> None:
        self._table = tables.__getitem__
        self._now = now
        self._tenant_id = tenant_id
        self._days = "true" if since is None else f"ingest_date >= date '{since.isoformat()}'"
        self.unfinished = 0
        self._ledger = ledger_rows(self._table, tenant_id, self._days)
        quarantine = self._marked(RAW_QUARANTINE, _MARKS.replace("replay", "0 as replay"))
        self._quarantine = quarantine.with_columns(pl.col("replay").cast(pl.Int32))
        self._outcomes = self._marked(OPS_REPLAY_OUTCOMES, _MARKS)
        raw = pl.concat([self._raw(spec) for spec in RAW_TABLES.values()])
        self._raw_rows = raw.group_by(BATCH).agg(raw=pl.col("rows").sum())
        self._removed = self._removals()

    def sides(self, doubted: list[str]) -> pl.DataFrame:
        """Return, per batch, what the ledger says and what the tables hold."""
        ledger = counting(self._ledger, self._table, self._now, doubted)
        own = self._ledger.filter(pl.col("replay") == 0)
        began = pl.concat([frame.select(BATCH) for frame in (own, self._quarantine)])
        stored = ledger.filter(pl.col("replay") == 0)
        self.unfinished = began.unique().join(stored, on=BATCH, how="anti").height
        sides = ledger.group_by(BATCH).agg(
            pl.col("source").first(),
            pl.col(COUNTS).sum(),
            entries=pl.len(),
            commits=pl.col("replay").n_unique(),
        )
        sides = sides.join(self._raw_rows, on=BATCH, how="full", coalesce=True)
        sides = sides.join(self._removed, on=BATCH, how="full", coalesce=True)
        for name, frame in (("aside", self._quarantine), ("resolved", self._outcomes)):
            kept = counting(frame, self._table, self._now, doubted)
            rows = kept.group_by(BATCH).agg(pl.col("rows").sum().alias(name))
            sides = sides.join(rows, on=BATCH, how="full", coalesce=True)
        return sides.with_columns(pl.exclude("source", *BATCH).fill_null(0))

    def _marked(self, spec: TableSpec, marks: str) -> pl.DataFrame:
        groups = ", ".join(part for part in marks.split(", ") if " as " not in part)
        return query(
            self._table,
            spec,
            f"{marks}, count(*) as rows",
            self._tenant_id,
            f"{self._days} group by {groups}",
        )

    def _removals(self) -> pl.DataFrame:
        """Return per batch the rows that left raw and the quarantine by age or erasure."""
        found = removed_rows(self._table, self._tenant_id, self._now, self._days)
        is_aside = pl.col("table_name") == RAW_QUARANTINE.full_name
        return found.group_by(BATCH).agg(
            raw_removed=pl.col("row_count").filter(~is_aside).sum(),
            aside_removed=pl.col("row_count").filter(is_aside).sum(),
        )

    def _raw(self, spec: TableSpec) -> pl.DataFrame:
        columns = "tenant_id, batch_id, count(*) as rows"
        grouped = f"{self._days} group by tenant_id, batch_id"
        return query(self._table, spec, columns, self._tenant_id, grouped)


def _problems(sides: pl.DataFrame) -> pl.DataFrame:
    """Return the batches that do not add up with the first thing that is wrong."""
    parts = pl.col("stored") + pl.col("duplicate") + pl.col("quarantined") + pl.col("suppressed")
    in_raw = pl.col("raw") + pl.col("raw_removed")
    left = (
        pl.when(pl.col("raw_removed") > 0)
        .then(pl.format(", {} left it", "raw_removed"))
        .otherwise(pl.lit(""))
    )
    is_open = pl.col("aside") + pl.col("aside_removed") - pl.col("resolved")
    problem = (
        pl.when(pl.col("entries") == 0)
        .then(pl.format("raw or the quarantine has rows of it, the ledger has not"))
        .when(pl.col("entries") != pl.col("commits"))
        .then(pl.format("{} entries for {} commits", "entries", "commits"))
        .when(pl.col("received") != parts)
        .then(pl.format("received {}, accounted for {}", "received", parts))
        .when(pl.col("stored") != in_raw)
        .then(pl.format("stored {}, raw holds {}{}", "stored", "raw", left))
        .when(pl.col("quarantined") != is_open)
        .then(pl.format("quarantined {}, the quarantine holds {}", "quarantined", is_open))
    )
    named = sides.with_columns(problem=problem).filter(pl.col("problem").is_not_null())
    return named.select("tenant_id", "source", "batch_id", "problem")
