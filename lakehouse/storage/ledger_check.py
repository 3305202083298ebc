"""Does the ledger add up, and do raw, quarantine and outcomes hold what it says?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REMOVALS,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
    TableSpec,
)
from lakehouse.storage.acknowledged import FOLDER, KEPT, acknowledged, nothing_acknowledged
from lakehouse.storage.damage import Damage, DamagedError, damaged_file, readable_rows
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import COUNTS, LEDGER_COLUMNS, counting
from lakehouse.storage.removals import removed_rows

BATCH: Final = ("tenant_id", "batch_id")
LOST: Final = (
    "acknowledged, and raw does not have it any more: send it again, or put the lake back from a "
    "backup; then `eta ledger give-up`"
)
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
    """What a check found. `unfinished` batches are under way, or go at the next start.

    `wrong` includes the batches that were acknowledged and are not stored any more, in whole or in
    part; `lost` counts those. `damage` names files that cannot be read; what rests on them was not
    checked.
    """

    batches: int
    received: int
    wrong: tuple[WrongBatch, ...]
    unfinished: int
    lost: int = 0
    damage: tuple[Damage, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everything adds up and could be read."""
        return not self.wrong and not self.damage


def check_ledger(
    lake: Lake, *, tenant_id: str | None = None, since: date | None = None
) -> LedgerCheck:
    """Compare the ledger with the tables, batch by batch; may run beside writers.

    `since` leaves out batches of earlier days. Reads the batch ids of every row: about a second
    per ten million. Only the last hour is asked for its attempts, and what does not add up. A
    damaged table or file is named, and everything else is checked all the same.
    """
    now = datetime.now(UTC)
    # First, so that a batch that is acknowledged meanwhile is not taken for a lost one.
    answered, damage = _answered(lake, since or (now - KEPT).date(), now)
    tables = _opened(lake, damage)
    if not tables.keys() >= set(_NEEDED):
        return LedgerCheck(0, 0, (), 0, 0, tuple(damage))
    check = _Check(tables, tenant_id, since, now)
    sides = check.sides([])
    doubted = _problems(sides)["batch_id"].to_list()
    if doubted:
        sides = check.sides(doubted)
    problems = _problems(sides)
    gone = check.lost(answered).join(problems, on=BATCH, how="anti")
    wrong = pl.concat([problems, gone]).sort(BATCH)
    fewer = sides.filter(pl.col("raw") + pl.col("raw_removed") < pl.col("stored"))
    return LedgerCheck(
        batches=sides.filter(pl.col("entries") > 0).height,
        received=int(sides["received"].sum()),
        wrong=tuple(WrongBatch(*row) for row in wrong.iter_rows()),
        unfinished=max(0, check.unfinished - check.lost_entries),
        lost=gone.height + fewer.height,
        damage=(*damage, *dict.fromkeys(check.damage)),
    )


_NEEDED: Final = (OPS_INGEST_LEDGER, OPS_REPLAY_OUTCOMES, RAW_QUARANTINE, OPS_REMOVALS)


def _answered(lake: Lake, since: date, now: datetime) -> tuple[pl.DataFrame, list[Damage]]:
    """Return what was acknowledged, as far as it can be read."""
    try:
        return acknowledged(lake, since, now), []
    except (OSError, pl.exceptions.PolarsError) as error:
        damage = Damage(
            FOLDER,
            None,
            "a file",
            f"cannot be read ({type(error).__qualname__})",
            "put it back from a backup, or move it away: then a lost batch may not be reported",
        )
        return nothing_acknowledged(), [damage]


def _opened(lake: Lake, damage: list[Damage]) -> dict[TableSpec, DeltaTable]:
    """Open the tables that can be. Raw first: a batch commits to it last, so the others have it."""
    tables: dict[TableSpec, DeltaTable] = {}
    for spec in (*RAW_TABLES.values(), *_NEEDED):
        try:
            tables[spec] = lake.intact(spec)
        except DamagedError as error:
            damage.append(error.damage)
    return tables


class _Check:
    def __init__(
        self,
        tables: dict[TableSpec, DeltaTable],
        tenant_id: str | None,
        since: date | None,
        now: datetime,
    ) -> None:
        self._tables = tables
        self._table = tables.__getitem__
        self._now = now
        self._tenant_id = tenant_id
        self._days = "true" if since is None else f"ingest_date >= date '{since.isoformat()}'"
        self._kinds = [kind.value for kind, spec in RAW_TABLES.items() if spec in tables]
        self.unfinished = self.lost_entries = 0
        self.damage: list[Damage] = []
        self._ledger = self._of_kinds(self._query(OPS_INGEST_LEDGER, LEDGER_COLUMNS, self._days))
        self._counting = self._ledger
        quarantine = self._marked(RAW_QUARANTINE, _MARKS.replace("replay", "0 as replay"))
        self._quarantine = quarantine.with_columns(pl.col("replay").cast(pl.Int32))
        self._outcomes = self._marked(OPS_REPLAY_OUTCOMES, _MARKS)
        raw = pl.concat([self._raw(spec) for spec in RAW_TABLES.values() if spec in tables])
        self._raw_rows = raw.group_by(BATCH).agg(raw=pl.col("rows").sum())
        self._removed = self._removals()

    def _query(self, spec: TableSpec, columns: str, rest: str) -> pl.DataFrame:
        """Return rows of the files that can be read; the others are named in `damage`."""
        try:
            found, damage = readable_rows(self._table(spec), spec, columns, self._tenant_id, rest)
        except DamagedError as error:
            self.damage.append(error.damage)
            return self._query(spec, columns, "false")
        self.damage += damage
        return found

    def _of_kinds(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Leave out the rows of data types whose raw table cannot be opened."""
        return rows.filter(pl.col("data_type").is_in(self._kinds))

    def lost(self, answered: pl.DataFrame) -> pl.DataFrame:
        """Return the acknowledged batches of which the ledger, or raw, knows nothing any more."""
        mine = self._of_kinds(answered)
        if self._tenant_id is not None:
            mine = mine.filter(pl.col("tenant_id") == self._tenant_id)
        gone = mine.join(self._counting, on=(*BATCH, "replay"), how="anti").sort(BATCH)
        gone = gone.unique((*BATCH, "replay"), maintain_order=True)
        entries = self._ledger.select(*BATCH, "source").unique(BATCH)
        named = gone.join(entries, on=BATCH, how="left", maintain_order="left")
        begun = named.filter(pl.col("replay") == 0, pl.col("source").is_not_null())
        self.lost_entries = begun.height
        columns = ("tenant_id", "source", "batch_id", pl.lit(LOST).alias("problem"))
        return named.select(columns).unique(BATCH)

    def sides(self, doubted: list[str]) -> pl.DataFrame:
        """Return, per batch, what the ledger says and what the tables hold."""
        ledger = self._counting = counting(self._ledger, self._table, self._now, doubted)
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
        rest = f"{self._days} group by {groups}"
        return self._of_kinds(self._query(spec, f"{marks}, count(*) as rows", rest))

    def _removals(self) -> pl.DataFrame:
        """Return per batch the rows that left raw and the quarantine by age or erasure."""
        names = ", ".join(f"'{spec.full_name}'" for spec in self._tables)
        about = f"{self._days} and table_name in ({names})"
        try:
            found = removed_rows(self._table, self._tenant_id, self._now, about)
        except DeltaError as error:
            self.damage.append(damaged_file(OPS_REMOVALS, None, "a data file", error))
            found = removed_rows(self._table, self._tenant_id, self._now, "false")
        is_aside = pl.col("table_name") == RAW_QUARANTINE.full_name
        return found.group_by(BATCH).agg(
            raw_removed=pl.col("row_count").filter(~is_aside).sum(),
            aside_removed=pl.col("row_count").filter(is_aside).sum(),
        )

    def _raw(self, spec: TableSpec) -> pl.DataFrame:
        columns = "tenant_id, batch_id, count(*) as rows"
        grouped = f"{self._days} group by tenant_id, batch_id"
        return self._query(spec, columns, grouped)


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
