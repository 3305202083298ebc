"""The quarantine as readers see it: refused rows that are still open, why, and their bytes.

A row is open while no outcome of a replay names its batch and place. Batches and replays that
came to nothing do not count (`attempts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl
from deltalake import QueryBuilder

from lakehouse.contracts.tables import OPS_REPLAY_OUTCOMES, RAW_QUARANTINE, TableSpec
from lakehouse.contracts.tenant import check_owner
from lakehouse.errors import EtaError
from lakehouse.storage.ledger import SETTLED, OpenTable, counting, query

PLACE: Final = ("batch_id", "source_ref")
ASKED: Final = timedelta(days=29)
"""How far back raw can be asked: application transactions are kept for 30 days."""

OWN_COLUMNS: Final = ("eta_batch", "eta_line", "eta_reasons")
"""First columns of an export: which row a line stands for, and why it was refused."""

_MARKS: Final = "tenant_id, data_type, batch_id, {} as replay, attempt, known_at"
_ROW: Final = (
    "batch_id, data_type, source, source_ref, raw, reasons, schema_version, layout, known_at"
)
_PLACED: Final = "batch_id, data_type, source, source_ref, known_at"
_BATCH_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,300}")
_LINE: Final = re.compile(r"line:(\d+)")


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many open rows have this reason; a row with several reasons is in several counts."""

    data_type: str
    code: str
    field: str
    rows: int
    batches: int


class Quarantine:
    """One tenant's open rows, of one batch or all, as they are when this is made; for one thread.

    `asked`: raw is asked about batches and replays younger than this (see `ledger.counting`).
    `since`: only rows that arrived on this day (UTC) or later.
    """

    def __init__(
        self,
        table: OpenTable,
        tenant_id: str,
        batch_id: str | None = None,
        *,
        asked: timedelta = SETTLED,
        since: date | None = None,
    ) -> None:
        self._table = table
        self._tenant_id = check_owner(tenant_id)
        self._where = "true"
        if batch_id is not None:
            self._where = f"batch_id = '{check_batch_id(batch_id)}'"
        self._asked = asked
        self._arrived = "true" if since is None else f"ingest_date >= date '{since}'"
        outcomes = self._counting(OPS_REPLAY_OUTCOMES, "replay")
        places = "batch_id, source_ref, replay, attempt"
        resolved = query(table(OPS_REPLAY_OUTCOMES), places, tenant_id, self._where)
        self._resolved = resolved.join(outcomes, on=("batch_id", "replay", "attempt"), how="semi")
        self._stored = self._counting(RAW_QUARANTINE, "0", self._arrived)

    @property
    def stored(self) -> pl.DataFrame:
        """Return `batch_id, attempt` of the batches whose records count, open or not."""
        return self._stored.select("batch_id", "attempt")

    def rows(self, code: str | None = None) -> Iterator[pl.DataFrame]:
        """Yield the open rows in pieces, or those with a reason; those of a piece in file order."""
        for rows in self._pieces(_ROW):
            if code is None:
                yield rows
                continue
            codes = pl.col("reasons").list.eval(pl.element().struct.field("code"))
            found = rows.filter(codes.list.contains(code))
            if found.height:
                yield found

    def _pieces(self, columns: str) -> Iterator[pl.DataFrame]:
        where = f"tenant_id = '{self._tenant_id}' and {self._where} and {self._arrived}"
        text = f"select {columns}, attempt from rows where {where}"  # noqa: S608
        found = QueryBuilder().register("rows", self._table(RAW_QUARANTINE)).execute(text)
        for piece in found:
            rows = pl.DataFrame(piece).join(self._stored, on=("batch_id", "attempt"), how="semi")
            rows = rows.join(self._resolved, on=PLACE, how="anti")
            if rows.height:
                yield rows.drop("attempt").sort(PLACE)

    def batches(self) -> pl.DataFrame:
        """Return `batch_id, data_type, source, rows`: the batches with open rows, oldest first."""
        keys = ("batch_id", "data_type", "source")
        parts = [
            rows.group_by(keys).agg(pl.len().alias("rows"), pl.col("known_at").min())
            for rows in self._pieces(_PLACED)
        ]
        if not parts:
            return pl.DataFrame(schema=dict.fromkeys(keys, pl.String) | {"rows": pl.UInt32})
        totals = pl.concat(parts).group_by(keys).agg(pl.col("rows").sum(), pl.col("known_at").min())
        return totals.sort("known_at", "batch_id").drop("known_at")

    def reasons(self) -> list[ReasonCount]:
        """Return how many open rows there are per reason, the most frequent first."""
        keys = ("data_type", "code", "field")
        parts = [
            rows.select(*PLACE, "data_type", "reasons")
            .explode("reasons")
            .unnest("reasons")
            .unique((*PLACE, *keys))  # a row may have one reason twice
            .group_by(*keys, "batch_id")
            .agg(pl.len().alias("rows"))
            for rows in self._pieces(f"{_PLACED}, reasons")  # not their bytes
        ]
        if not parts:
            return []
        totals = pl.concat(parts).group_by(keys).agg(pl.col("rows").sum(), pl.n_unique("batch_id"))
        ordered = totals.sort(["rows", *keys], descending=[True, False, False, False])
        return [ReasonCount(*row) for row in ordered.select(*keys, "rows", "batch_id").iter_rows()]

    def _counting(self, spec: TableSpec, replay: str, arrived: str = "true") -> pl.DataFrame:
        marks = _MARKS.format(replay)
        rest = f"{self._where} and {arrived}"
        found = query(self._table(spec), f"distinct {marks}", self._tenant_id, rest)
        now = datetime.now(UTC)
        kept = counting(found, self._table, now, settled=self._asked)
        return kept.select("batch_id", "replay", "attempt").unique()


def place_of(source_ref: str) -> str:
    """Return where a row stood as people write it: the line of a file, else the whole place."""
    found = _LINE.fullmatch(source_ref)
    return str(int(found[1])) if found else source_ref


def source_ref_of(place: str) -> str:
    """Return the place as it is stored; the inverse of `place_of`."""
    return f"line:{int(place):010}" if re.fullmatch(r"[0-9]{1,10}", place) else place


def check_batch_id(batch_id: str) -> str:
    """Return the id if it may stand in a query; raise `EtaError` otherwise."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise EtaError("the batch id is not valid", remedy="see `eta ledger list --tenant TENANT`")
    return batch_id
