"""The ledger as readers see it: for every batch, where each of its rows is.

Counts of a batch are the sums over its ledger rows: its own and one per replay. Rows of attempts
that came to nothing do not count (`attempts`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
from deltalake import DeltaTable, QueryBuilder

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_TABLES, TableSpec
from lakehouse.contracts.tenant import check_owner
from lakehouse.errors import EtaError
from lakehouse.storage.attempts import commit_id_of
from lakehouse.storage.stream_offsets import PREFIX, lost_stream_rows

OpenTable = Callable[[TableSpec], DeltaTable]

SETTLED: Final = timedelta(hours=1)
"""A row older than this counts without asking raw: recovery has removed it if it does not."""
COUNTS: Final = ("received", "stored", "duplicate", "quarantined", "suppressed")

LEDGER_COLUMNS: Final = (
    f"tenant_id, batch_id, data_type, source, replay, attempt, known_at, {', '.join(COUNTS)}"
)
_BATCH_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,300}")


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """A batch and what became of its rows; received = the sum of the other four.

    `received_at` is UTC; `replays` is how often rows of its quarantine were taken in.
    """

    tenant_id: str
    source: str
    data_type: str
    batch_id: str
    received_at: datetime
    received: int
    stored: int
    duplicate: int
    quarantined: int
    suppressed: int
    replays: int

    @property
    def cursor(self) -> str:
        """Place of the batch in the list; `batches` continues behind it."""
        return f"{int(self.received_at.timestamp() * 1_000_000)}~{self.batch_id}"


def batches(
    table: OpenTable, tenant_id: str, *, limit: int, after: str | None = None
) -> list[LedgerBatch]:
    """Return a page of the tenant's batches, newest first, the first behind the cursor `after`.

    A batch is in the list as soon as it is stored. Raises `EtaError` for a cursor that is none.
    """
    before = "" if after is None else f" and {_behind(after)}"
    newest_first = f"order by known_at desc, batch_id desc limit {int(limit)}"
    own = ledger_rows(table, tenant_id, f"replay = 0{before} {newest_first}")
    if not own.height:
        return []
    oldest: datetime = own["known_at"].min()  # type: ignore[assignment]
    later = ledger_rows(table, tenant_id, f"replay > 0 and ingest_date >= date '{oldest.date()}'")
    later = later.filter(pl.col("batch_id").is_in(own["batch_id"].to_list()))
    return summed(counting(pl.concat([own, later]), table, datetime.now(UTC)))


def summed(rows: pl.DataFrame) -> list[LedgerBatch]:
    """Return the batches that ledger rows tell of, newest first."""
    ordered = rows.sort("replay")
    found = ordered.group_by("tenant_id", "batch_id", maintain_order=True).agg(
        pl.col("source", "data_type", "known_at").first(),
        pl.col(COUNTS).sum(),
        pl.col("replay").max(),
    )
    found = found.sort("known_at", "batch_id", descending=True)
    columns = ("tenant_id", "source", "data_type", "batch_id", "known_at", *COUNTS, "replay")
    return [LedgerBatch(*row) for row in found.select(columns).iter_rows()]


def ledger_rows(table: OpenTable, tenant_id: str | None, condition: str) -> pl.DataFrame:
    """Return ledger rows as they are, of attempts that do not count as well."""
    return query(table(OPS_INGEST_LEDGER), LEDGER_COLUMNS, tenant_id, condition)


def counting(
    rows: pl.DataFrame,
    table: OpenTable,
    now: datetime,
    doubted: Sequence[str] = (),
    settled: timedelta = SETTLED,
) -> pl.DataFrame:
    """Keep the rows of attempts that were stored.

    Raw is asked about rows younger than `settled`, about commits with several attempts and about
    the batches that are `doubted`; each question costs milliseconds.
    """
    open_to_doubt = (
        (pl.col("known_at") > now - settled)
        | pl.col("batch_id").is_in(list(doubted))
        | (pl.col("attempt").n_unique().over("tenant_id", "batch_id", "replay") > 1)
    )
    keys = ("data_type", "batch_id", "replay", "attempt")
    asked = rows.filter(open_to_doubt).select(keys).unique()
    of_stream = pl.col("batch_id").str.starts_with(PREFIX) & (pl.col("replay") == 0)
    lost = [
        row
        for row in asked.filter(~of_stream).iter_rows()
        if stored_attempt(table, row[0], row[1], row[2]) != row[3]
    ]
    schema = {name: rows.schema[name] for name in keys}
    gone = pl.concat(
        [
            pl.DataFrame(lost, schema=schema, orient="row"),
            lost_stream_rows(
                asked.filter(of_stream), lambda kind: table(RAW_TABLES[DataType(kind)])
            ),
        ]
    )
    return rows.join(gone, on=keys, how="anti")


def stored_attempt(table: OpenTable, data_type: str, batch_id: str, replay: int) -> int | None:
    """Return the attempt at a batch or replay that raw has."""
    raw = table(RAW_TABLES[DataType(data_type)])
    found: int | None = raw.transaction_version(commit_id_of(batch_id, replay))
    return found


def query(
    table: DeltaTable, columns: str, tenant_id: str | None, rest: str = "true"
) -> pl.DataFrame:
    """Run a query over the rows of one tenant, or of all (None); texts are the program's own."""
    where = "" if tenant_id is None else f"tenant_id = '{check_owner(tenant_id)}' and "
    text = f"select {columns} from rows where {where}{rest}"  # noqa: S608
    return pl.DataFrame(QueryBuilder().register("rows", table).execute(text).read_all())


def _behind(cursor: str) -> str:
    micros, _, batch_id = cursor.partition("~")
    if not re.fullmatch(r"\d{1,17}", micros) or not _BATCH_ID.fullmatch(batch_id):
        raise EtaError(
            "the cursor is not one that a page ended with",
            remedy="send the `next` of the page before, or none for the first page",
        )
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))
    known_at = f"timestamp '{moment:%Y-%m-%dT%H:%M:%S.%f}Z'"
    return f"(known_at < {known_at} or (known_at = {known_at} and batch_id < '{batch_id}'))"
