"""What came since the last measurement, per tenant and data type: from ledger and quarantine.

A ledger row counts once raw has its batch (docs/adr/0008). So the ledger is read up to the commit
before the first one whose batch is not decided yet; what follows belongs to the next measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_QUARANTINE,
    RAW_TABLES,
)
from lakehouse.contracts.tenant import UNATTRIBUTED
from lakehouse.errors import EtaError
from lakehouse.storage.ledger import COUNTS, SETTLED, OpenTable, counting, query
from lakehouse.storage.quarantine import check_batch_id

KEYS: Final = ("tenant_id", "data_type")
FAULTS: Final = ("incomplete", "invalid", "inconsistent")
MISSING: Final = (ReasonCode.MISSING_VALUE, ReasonCode.MISSING_SUBJECT)
CONFLICTS: Final = (ReasonCode.CONFLICTING_EVENT,)

COMMIT: Final = ("batch_id", "replay", "attempt")
_COLUMNS: Final = (*KEYS, *COMMIT, "source", "known_at", *COUNTS)
_ASKED: Final = timedelta(days=29)
"""How far back raw can be asked: application transactions are kept for 30 days."""
_STEPS_BACK: Final = (0, *(2**n for n in range(10)))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Counts per tenant and data type (`KEYS`), and the ledger's version that was read up to.

    Columns: those of the ledger, `retried`, `FAULTS` and `newest_known_at`. `is_whole`: they are
    of all time, as what came since could not be told.
    """

    counts: pl.DataFrame
    version: int
    is_whole: bool


def read_arrivals(
    table: OpenTable,
    since: int | None,
    now: datetime,
    *,
    tenant_id: str | None = None,
    read: Mapping[str, int] | None = None,
) -> Arrivals:
    """Return what came after version `since` of the ledger; of all time when that is not known.

    `read` has tenants that were read further than `since`. The handles of `table` must be new:
    raw is asked after the ledger was opened. Raises `EtaError` when batches have been under way
    for 500 commits.
    """
    ledger = table(OPS_INGEST_LEDGER)
    is_whole = since is None
    if since is not None and since >= ledger.version():
        stored, version = _empty(), since
    elif since is not None:
        try:
            changes = _changes(ledger, since)
            stored, version = _decided(changes, table, ledger.version(), now)
        except DeltaError:  # entries of that age were removed from the log
            is_whole = True
    if is_whole:
        stored, version = _whole(table, tenant_id, now)
    elif read:
        known = pl.col("tenant_id").replace_strict(read, default=-1, return_dtype=pl.Int64)
        stored = stored.filter(pl.col("version") > known)
    stored = stored.filter(pl.col("tenant_id") != UNATTRIBUTED)
    if tenant_id is not None:
        stored = stored.filter(pl.col("tenant_id") == tenant_id)
    return Arrivals(_counted(stored, table, tenant_id), version, is_whole)


def _empty() -> pl.DataFrame:
    numbers = dict.fromkeys((*COUNTS, "attempt", "version"), pl.Int64)
    texts = dict.fromkeys((*KEYS, "batch_id", "source"), pl.String)
    moment = {"known_at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(schema={**texts, **numbers, **moment, "replay": pl.Int32})


def _changes(ledger: DeltaTable, since: int) -> pl.DataFrame:
    """Return the rows that were added after a version and are still there."""
    told = ("_change_type", "_commit_version", "_commit_timestamp")
    feed = ledger.load_cdf(
        starting_version=since + 1, ending_version=ledger.version(), columns=[*_COLUMNS, *told]
    )
    found = pl.DataFrame(feed.read_all())
    kind = pl.col("_change_type")
    kept = found.filter(kind == "insert").join(
        found.filter(kind == "delete"), on=COMMIT, how="anti"
    )
    return kept.select(
        *_COLUMNS,
        pl.col("_commit_version").cast(pl.Int64).alias("version"),
        pl.col("_commit_timestamp").dt.replace_time_zone("UTC").alias("committed_at"),
    )


def _decided(
    rows: pl.DataFrame, table: OpenTable, newest: int, now: datetime
) -> tuple[pl.DataFrame, int]:
    """Return the rows that count, and the version up to which every row is decided."""
    stored, undecided = split_stored(rows, table, now, _ASKED)
    if undecided.is_empty():
        return stored, newest
    cut = int(undecided["version"].min()) - 1  # type: ignore[arg-type]
    return stored.filter(pl.col("version") <= cut), cut


def _whole(table: OpenTable, tenant_id: str | None, now: datetime) -> tuple[pl.DataFrame, int]:
    """Return every row that counts, as of the newest version in which all are decided."""
    ledger = table(OPS_INGEST_LEDGER)
    newest = ledger.version()
    for back in _STEPS_BACK:
        version = max(newest - back, 0)
        ledger.load_as_version(version)
        rows = query(ledger, ", ".join(_COLUMNS), tenant_id)
        rows = rows.with_columns(version=pl.lit(version), committed_at="known_at")
        stored, undecided = split_stored(rows, table, now, SETTLED)
        if undecided.is_empty():
            return stored, version
    raise EtaError(
        "batches have been under way for 500 commits, so quality cannot be measured yet",
        remedy="try again in an hour; until then `eta ledger check` shows what is unfinished",
    )


def split_stored(
    rows: pl.DataFrame, table: OpenTable, now: datetime, settled: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that count, and those of which it is not decided.

    A batch that raw holds rows of is stored. Only the others are asked about one by one: that
    costs milliseconds each, and more the longer raw's log is.
    """
    if rows.is_empty():
        return rows, rows
    is_alone = pl.col("attempt").n_unique().over("tenant_id", "batch_id", "replay") == 1
    young = rows.filter(pl.col("known_at") > now - settled)
    is_held = (
        pl.col("batch_id").is_in(_in_raw(young, table).implode())
        & (pl.col("replay") == 0)
        & is_alone
    )
    held = rows.filter(is_held)
    asked = rows.join(held, on=COMMIT, how="anti")
    stored = counting(asked, table, now, settled=settled)
    undecided = asked.join(stored, on=COMMIT, how="anti").filter(
        pl.col("committed_at") > now - SETTLED
    )
    return pl.concat([held, stored]), undecided


def _in_raw(rows: pl.DataFrame, table: OpenTable) -> pl.Series:
    """Return those of the rows' batches that have rows in raw."""
    found = [pl.Series("batch_id", [], dtype=pl.String)]
    expected = rows.filter(pl.col("stored") > 0)
    for (kind,), batches in expected.group_by("data_type"):
        spec = RAW_TABLES[DataType(str(kind))]
        raw = query(table(spec), "distinct batch_id", None, _known_between(batches))
        found.append(raw["batch_id"])
    return pl.concat(found)


def _known_between(rows: pl.DataFrame) -> str:
    first, last = rows["known_at"].min(), rows["known_at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return " and ".join(
        f"known_at {sign} timestamp '{moment.isoformat()}'"
        for sign, moment in ((">=", first), ("<=", last))
    )


def _counted(stored: pl.DataFrame, table: OpenTable, tenant_id: str | None) -> pl.DataFrame:
    is_retry = (pl.col("received") > 0) & (pl.col("received") == pl.col("duplicate"))
    counts = stored.group_by(KEYS).agg(
        pl.col(COUNTS).sum(),
        retried=pl.col("duplicate").filter(is_retry).sum(),
        newest_known_at=pl.col("known_at").filter(pl.col("replay") == 0).max(),
    )
    faults = pl.concat(
        [_faults_kept(stored, table, tenant_id), _faults_mended(stored, table, tenant_id)]
    )
    faults = faults.group_by(KEYS).agg(pl.col(FAULTS).sum())
    return counts.join(faults, on=KEYS, how="left").with_columns(pl.col(FAULTS).fill_null(0))


def _faults_kept(stored: pl.DataFrame, table: OpenTable, tenant_id: str | None) -> pl.DataFrame:
    """Return the faults of rows that batches put into quarantine."""
    batches = stored.filter((pl.col("replay") == 0) & (pl.col("quarantined") > 0))
    if batches.is_empty():
        return _no_faults()
    marks = batches.select("batch_id", "attempt").unique()
    parts = [
        rows.join(marks, on=("batch_id", "attempt"), how="semi").group_by(KEYS).agg(_sums())
        for rows in _quarantined(table, tenant_id, _known_between(batches))
    ]
    return pl.concat([_no_faults(), *parts])


def _faults_mended(stored: pl.DataFrame, table: OpenTable, tenant_id: str | None) -> pl.DataFrame:
    """Return, below zero, the faults of rows that replays took out of the quarantine."""
    replays = stored.filter(pl.col("replay") > 0)
    if replays.is_empty():
        return _no_faults()
    marks = replays.select(COMMIT).unique()
    columns = "batch_id, source_ref, replay, attempt"
    outcomes = query(table(OPS_REPLAY_OUTCOMES), columns, tenant_id, _known_between(replays))
    gone = outcomes.join(marks, on=COMMIT, how="semi").select("batch_id", "source_ref").unique()
    batches = ", ".join(f"'{check_batch_id(each)}'" for each in gone["batch_id"].unique())
    if not batches:
        return _no_faults()
    parts = [
        rows.join(gone, on=("batch_id", "source_ref"), how="semi").group_by(KEYS).agg(_sums(-1))
        for rows in _quarantined(table, tenant_id, f"batch_id in ({batches})")
    ]
    return pl.concat([_no_faults(), *parts])


def _quarantined(table: OpenTable, tenant_id: str | None, condition: str) -> Iterator[pl.DataFrame]:
    """Yield records of the quarantine without their bytes, in pieces."""
    columns = "tenant_id, data_type, batch_id, source_ref, attempt, reasons"
    where = condition if tenant_id is None else f"tenant_id = '{tenant_id}' and {condition}"
    text = f"select {columns} from rows where {where}"  # noqa: S608 - the program's own texts
    for piece in QueryBuilder().register("rows", table(RAW_QUARANTINE)).execute(text):
        yield pl.DataFrame(piece)


def _sums(sign: int = 1) -> list[pl.Expr]:
    """How many records have each fault; a record with several reasons may have several."""
    codes = pl.col("reasons").list.eval(pl.element().struct.field("code"))

    def has_any(*wanted: ReasonCode) -> pl.Expr:
        return codes.list.eval(pl.element().is_in([str(code) for code in wanted])).list.any()

    others = codes.list.eval(~pl.element().is_in([str(code) for code in (*MISSING, *CONFLICTS)]))
    is_invalid = others.list.any() | (codes.list.len() == 0)
    found = (has_any(*MISSING), is_invalid, has_any(*CONFLICTS))
    return [
        (sign * is_faulty.cast(pl.Int64).sum()).alias(name)
        for name, is_faulty in zip(FAULTS, found, strict=True)
    ]


def _no_faults() -> pl.DataFrame:
    texts = dict.fromkeys(KEYS, pl.String)
    return pl.DataFrame(schema={**texts, **dict.fromkeys(FAULTS, pl.Int64)})
