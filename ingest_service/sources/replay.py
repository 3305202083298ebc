"""Takes rows of the quarantine in again: under other settings, or as somebody corrected them.

A replay amends its batch: rows move from `quarantined` to `stored`, `duplicate` or `suppressed`
in one commit per batch (docs/adr/0008). What is still wrong stays where it is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

import polars as pl
import pyarrow as pa

from ingest_service.dedupe.window import DedupeWindows, History
from ingest_service.pipeline.batch import BatchPipeline, Checked, Rows
from ingest_service.pipeline.earlier import Earlier
from ingest_service.pipeline.runner import BatchRunner
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.readers.quarantined import EditedRows, kept_bytes, reread, without_unsent
from ingest_service.readers.table.no_json import NO_JSON_MESSAGE
from ingest_service.sinks.base import BatchKey, Sink
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator
from lakehouse.errors import EtaError
from lakehouse.privacy.records import RecordReader
from lakehouse.privacy.suppression import SuppressionList
from lakehouse.storage.ledger import OpenTable, counting, ledger_rows
from lakehouse.storage.quarantine import ASKED, Quarantine

UNREADABLE: Final = "unreadable"
"""Counted for a record that cannot be read alone: it needs an edited row."""
_DOUBTFUL: Final = tuple(
    code.value for code in (ReasonCode.BAD_QUOTE, ReasonCode.BAD_ESCAPE, ReasonCode.RAGGED_ROW)
)
_UNREAD_VALUES: Final = (ReasonCode.NOT_UTF8.value, ReasonCode.NOT_COMPUTED.value)


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """What to replay: a tenant's open rows, of one batch or all.

    `mapping` reads them with another of the tenant's source mappings than the one of their batch,
    which is the one that came with the batch where one did.
    With `edited`, only the rows that it holds are tried.
    """

    tenant_id: str
    settings: TenantSettings
    batch_id: str | None = None
    mapping: str | None = None
    edited: EditedRows | None = None


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """What a replay made of a batch; tried = stored + duplicate + suppressed + still open.

    `still_open_by_code` counts reasons, of which a row may have several; `refusal` says why none
    could be tried.
    """

    batch_id: str
    tried: int
    stored: int = 0
    duplicate: int = 0
    suppressed: int = 0
    still_open_by_code: dict[str, int] = field(default_factory=dict)
    refusal: str | None = None

    @property
    def still_open(self) -> int:
        """Rows that stay in quarantine."""
        return self.tried - self.stored - self.duplicate - self.suppressed


class Replayer:
    """Replays quarantined rows; any number of processes may do so at once, beside uploads."""

    def __init__(
        self,
        sink: Sink,
        table: "OpenTable",
        history: History,
        windows: DedupeWindows,
        suppression: SuppressionList,
        clock: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._history = history
        self._runner = BatchRunner(sink, history, windows, suppression)
        self._clock = clock

    def replay(
        self, order: ReplayOrder, on_batch: Callable[[BatchKey], None] = lambda _: None
    ) -> list[ReplayedBatch]:
        """Try the rows once more, batch by batch, each batch as a whole or not at all.

        A row that was taken in is not open any more, so a replay may be repeated, also after a
        kill at any moment, and each row lands once. `on_batch` is told each batch before its
        first commit.
        """
        return [
            self._batch(order, batch_id, DataType(data_type), source, on_batch)
            for batch_id, data_type, source in self._wanted(order)
        ]

    def _wanted(self, order: ReplayOrder) -> list[tuple[str, str, str]]:
        open_rows = Quarantine(self._table, order.tenant_id, order.batch_id, asked=ASKED)
        found = open_rows.batches()
        if order.edited is not None:
            edited = {batch_id for batch_id, _ in order.edited.values}
            found = found.filter(pl.col("batch_id").is_in(list(edited)))
        return list(found.select("batch_id", "data_type", "source").iter_rows())

    def _batch(
        self,
        order: ReplayOrder,
        batch_id: str,
        data_type: DataType,
        source: str,
        on_batch: Callable[[BatchKey], None],
    ) -> ReplayedBatch:
        runs: list[_ReplayRun] = []
        stored = partial(self._history.stored, order.tenant_id, data_type)

        def new_key() -> BatchKey:
            number = self._next_number(order.tenant_id, batch_id)
            key = BatchKey(order.tenant_id, data_type, batch_id, self._clock(), source, number)
            on_batch(key)
            return key

        def read(batch: BatchPipeline) -> bool:
            run = _ReplayRun(order, batch, stored)
            runs.append(run)
            quarantine = Quarantine(self._table, order.tenant_id, batch_id, asked=ASKED)
            for rows in quarantine.rows():
                run.take(rows)
            return bool(batch.counts.quarantined)

        self._runner.run(order.tenant_id, data_type, new_key, read)
        return runs[-1].report()

    def _next_number(self, tenant_id: str, batch_id: str) -> int:
        """One more than the number of the batch's newest replay."""
        rows = ledger_rows(self._table, tenant_id, "replay > 0")
        mine = rows.filter(pl.col("batch_id") == batch_id)
        kept = counting(mine, self._table, datetime.now(UTC), settled=ASKED)
        newest = kept["replay"].max()
        return 1 + int(newest) if isinstance(newest, int) else 1


@dataclass(frozen=True, slots=True)
class _Places:
    """Where rows stood when they were first received; see `Places`."""

    rows: pl.DataFrame
    keeps_time: bool
    """Whether rows stay among those that they were sent with, as states of an item do."""

    def refs(self, rows: pl.Series) -> pa.Array:
        return self.rows["source_ref"].gather(rows).to_arrow()

    def others(self, rows: pl.Series) -> dict[str, pa.Array]:
        return (
            {"known_at": self.rows["known_at"].gather(rows).to_arrow()} if self.keeps_time else {}
        )


class _ReplayRun:
    """One pass over the open rows of a batch."""

    def __init__(
        self,
        order: ReplayOrder,
        batch: BatchPipeline,
        stored: Callable[[pl.Series], pl.DataFrame],
    ) -> None:
        self._stored = stored
        self._order = order
        self._batch = batch
        self._data_type = batch.key.data_type
        self._validators: dict[tuple[str, tuple[str, ...], bool, bool], Validator] = {}
        self._tried = 0
        self._codes: Counter[str] = Counter()
        self._refusal: str | None = None

    def report(self) -> ReplayedBatch:
        """What became of the rows."""
        done = self._batch.counts
        return ReplayedBatch(
            self._batch.key.batch_id,
            self._tried,
            done.stored,
            done.duplicate,
            done.suppressed,
            {code: count for code, count in self._codes.items() if count},
            self._refusal,
        )

    def take(self, rows: pl.DataFrame) -> None:
        """Try open rows of the batch."""
        if self._order.edited is not None:
            rows = self._order.edited.of(rows)
        for (text,), alike in rows.group_by("layout", maintain_order=True):
            layout = SourceLayout.from_text(str(text))
            self._tried += alike.height
            try:
                checked = self._check(layout, alike)
            except EtaError as error:  # the mapping cannot read this layout, or is gone
                self._refusal = error.message
                continue
            if checked is not None:
                refused = self._batch.take(checked).refused
                self._codes.update(dict(refused["code"].value_counts().iter_rows()))

    def _check(self, layout: SourceLayout, rows: pl.DataFrame) -> Checked | None:
        edited = self._order.edited
        if edited is None:
            texts, is_read = reread(layout, rows["raw"].to_list(), lambda: self._asked(layout))
            is_read &= ~_is_doubtful(layout, rows["reasons"])
            is_header = self._are_headers(layout, rows["reasons"])
            self._codes[UNREADABLE] += int((~is_read & ~is_header).sum())
            self._codes[ReasonCode.REPEATED_HEADER.value] += int(is_header.sum())
            is_read &= ~is_header
            rows, texts = rows.filter(is_read), texts.filter(is_read)
        else:
            texts = edited.texts(rows)
            if layout.format != "csv":
                known, _ = reread(layout, rows["raw"].to_list(), lambda: self._asked(layout))
                texts = without_unsent(texts, known)
            has_bytes = kept_bytes(texts)
            self._codes[UNREADABLE] += int(has_bytes.sum())
            rows, texts = rows.filter(~has_bytes), texts.filter(~has_bytes)
        if not rows.height:
            return None
        earlier = Earlier(
            rows["known_at"],
            _has(rows["reasons"], (ReasonCode.CONFLICTING_EVENT.value,)),
            self._stored,
            is_edited=edited is not None,
        )
        raws = rows["raw"]
        read = Rows(
            texts,
            lambda positions: raws.gather(list(positions)).to_list(),
            _Places(rows, keeps_time=self._data_type.definition.is_state),
            layout,
            earlier=earlier,
        )
        validator = self._validator(layout, tuple(texts.columns))
        return self._batch.check(read, validator, self._reader(layout))

    def _are_headers(self, layout: SourceLayout, reasons: pl.Series) -> pl.Series:
        """Return which rows name columns: the names of their file are not known any more."""
        found = _has(reasons, (ReasonCode.REPEATED_HEADER.value,))
        if found.any() and self._mapping(layout)[1].header_rows == "none":
            return pl.repeat(value=False, n=len(found), dtype=pl.Boolean, eager=True)
        return found

    def _reader(self, layout: SourceLayout) -> RecordReader:
        name, mapping = self._mapping(layout)
        update = {"mapping": name} | ({"mapping_settings": None} if self._order.mapping else {})
        read_with = layout.model_copy(update=update)
        return self._batch.suppressed.readers({name: mapping}).of(self._data_type, read_with)

    def _mapping(self, layout: SourceLayout) -> tuple[str, SourceMapping]:
        """Return what rows of a layout are read with now, and what the tenant calls it."""
        if self._order.mapping is None and layout.mapping_settings is not None:
            return layout.mapping, layout.mapping_settings
        name = self._order.mapping or layout.mapping
        return name, self._order.settings.mapping(name, self._data_type)

    def _asked(self, layout: SourceLayout) -> JsonColumns:
        return JsonColumns.of(self._data_type, self._mapping(layout)[1])

    def _validator(self, layout: SourceLayout, columns: tuple[str, ...]) -> Validator:
        _, mapping = self._mapping(layout)
        has_named_fields = layout.format != "csv"
        typed_times = bool(layout.typed_times)
        key = (mapping.model_dump_json(), columns, has_named_fields, typed_times)
        if key not in self._validators:
            self._validators[key] = Validator(
                self._data_type,
                mapping,
                self._order.settings,
                columns,
                has_named_fields=has_named_fields,
                has_typed_times=typed_times,
            )
        return self._validators[key]


def _is_doubtful(layout: SourceLayout, reasons: pl.Series) -> pl.Series:
    """Which records may be no rows, or others, though each alone can be parsed.

    A line beside a stray quote may be text of a field, and a value that could not be read is not in
    the record of a table's row; only an edited export says what it is.
    """
    if layout.typed_times:
        within = pl.element().struct.field("message").str.ends_with(NO_JSON_MESSAGE)
        return _has(reasons, _UNREAD_VALUES) | _any_of(reasons, within)
    if layout.format != "csv":
        return pl.repeat(value=False, n=len(reasons), dtype=pl.Boolean, eager=True)
    return _has(reasons, _DOUBTFUL)


def _has(reasons: pl.Series, wanted: Sequence[str]) -> pl.Series:
    """Return which rows have one of these codes among their reasons."""
    return _any_of(reasons, pl.element().struct.field("code").is_in(wanted))


def _any_of(reasons: pl.Series, condition: pl.Expr) -> pl.Series:
    return reasons.list.eval(condition).list.any().fill_null(value=False)
