"""The newest events of a tenant, as fingerprints, and what they say about arriving rows.

Exact within the window: by default the newest million events per tenant and data type, and all of
the batch that the oldest of them came with, however large it is; so a file that is sent again meets
the whole of itself. While a batch runs the window stays, and all of the batch's own rows count too.
What lies further back is stored again and removed by staging, which counts it; so the window saves
storage and tells senders early, and correctness does not rest on it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.dedupe.segments import (
    Flags,
    Prints,
    Segment,
    Storage,
    gathered,
    sorted_prints,
)
from ingest_service.dedupe.turns import Turn, Turns
from ingest_service.dedupe.verdicts import Verdict as Verdict
from ingest_service.dedupe.verdicts import judge_repeated, judge_states, newest_states, state_key
from lakehouse.contracts.tenant import DataType

WINDOW_ROWS: Final = 1_000_000
TOTAL_ROWS: Final = 2_000_000
FINGERPRINT_SCHEMA: Final = pl.Schema({"key": pl.UInt128, "payload": pl.UInt64})
_IN_MEMORY: Final = 4
"""A part of a batch of over a fourth of the window goes to disk."""
_OF_BATCHES: Final = 8
"""Batches are put together up to an eighth of the window: as a whole they are forgotten."""
_ON_DISK: Final = 8
"""So many rows on disk count as one in memory."""


@dataclass(slots=True)
class Seen:
    """What a window has taken in already: data files, and batches of this process.

    `is_void`: files are gone that had been taken in (merged, or rows erased), so that the window
    has to begin anew with what is yielded now. `rows` are those of the files, `added` those of the
    batches, None when that is not known: when they make up all that the table has, files were
    only merged.
    """

    files: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)
    is_void: bool = False
    rows: int = 0
    added: int | None = 0

    def copy(self) -> "Seen":
        """Return a copy that may be changed apart."""
        return replace(self, files=set(self.files), batches=set(self.batches))


class History(Protocol):
    """Where fingerprints of rows that are in the lake already come from."""

    def unseen(
        self, tenant_id: str, data_type: DataType, seen: Seen, limit: int
    ) -> Iterable[pl.DataFrame]:
        """Yield fingerprints of files not in `seen`, oldest first.

        They are the newest `limit` rows and all that came with the oldest of them, or more. Makes
        `seen.files` the files that the table has now, and empties `seen.batches`. Sets
        `seen.is_void` when files are gone, and then yields all there are. A frame has `key` and
        `payload`; of catalogue rows also `is_state` and `state_key`, in the order of arrival.
        """
        ...

    def stored(self, tenant_id: str, data_type: DataType, keys: pl.Series) -> pl.DataFrame:
        """Return `key` and `payload` of all stored rows of these keys, however old."""
        ...


class NoHistory:
    """A history of nothing, for tests and for sinks without a past."""

    def unseen(
        self,
        tenant_id: str,  # noqa: ARG002
        data_type: DataType,  # noqa: ARG002
        seen: Seen,  # noqa: ARG002
        limit: int,  # noqa: ARG002
    ) -> Iterable[pl.DataFrame]:
        """Yield nothing."""
        return ()

    def stored(
        self,
        tenant_id: str,  # noqa: ARG002
        data_type: DataType,  # noqa: ARG002
        keys: pl.Series,  # noqa: ARG002
    ) -> pl.DataFrame:
        """Return no row."""
        return pl.DataFrame(schema=FINGERPRINT_SCHEMA)


class BatchWindow:
    """The window as one batch sees it: the tenant's, plus all of the batch's own rows so far."""

    def __init__(self, segments: Sequence[Segment], storage: Storage) -> None:
        self._known = list(segments)
        self._own: list[Segment] = []
        self._storage = storage
        self.repeated = 0
        """How many duplicates were not known before the batch: they repeat a row of its own."""

    @property
    def segments(self) -> list[Segment]:
        """What it knows, oldest first; all that the batch has added is the last one."""
        own = [self._storage.merged(self._own)] if self._own else []
        return [*self._known, *own]

    def judge(self, fingerprints: pl.DataFrame, is_state: pl.Series | None = None) -> pl.Series:
        """Return a `Verdict` per row and remember the new ones.

        Rows of one key are compared in their order. A row marked by `is_state` is a duplicate when
        it says what the newest row of its item says, and that is a state too; everything else is
        news, so A, B, A are three states, and a state after a dated row (one with the item's
        `state_key`) is news. The newest state takes the place of the older one.
        """
        rows = fingerprints.with_columns(
            pl.row_index("row"), is_state=pl.lit(False if is_state is None else is_state)
        )
        prints, order = sorted_prints(rows)
        verdicts, is_before = self._judge_known(rows, prints, order)
        if (prints.place[1:] == prints.place[:-1]).any():
            fresh = rows.filter((verdicts == Verdict.NEW) & ~rows["is_state"])
            verdicts = verdicts.scatter(fresh["row"], judge_repeated(fresh))
        if rows["is_state"].any():
            verdicts = judge_states(rows, verdicts)
        self.repeated += int(((verdicts == Verdict.DUPLICATE).to_numpy() & ~is_before).sum())
        if _has_states(rows):
            self.add(rows.filter(verdicts == Verdict.NEW))
        else:
            self._keep(prints.take((verdicts == Verdict.NEW).to_numpy()[order]))
        return verdicts

    def add(self, rows: pl.DataFrame) -> None:
        """Remember rows; any catalogue row takes the place of its item's older state."""
        if _has_states(rows):
            gone = rows.select(key=state_key(rows)).drop_nulls().unique()
            if gone.height:
                states, _ = sorted_prints(gone)
                self._known = _left([one.without(states) for one in self._known])
                self._own = _left([one.without(states) for one in self._own])
            rows = newest_states(rows)
        self._keep(sorted_prints(rows)[0])

    def _keep(self, rows: Prints) -> None:
        if rows.height:
            self._own = gathered([*self._own, Segment.of(rows)], self._storage.merged)

    def _judge_known(
        self, rows: pl.DataFrame, prints: Prints, order: npt.NDArray[np.intp]
    ) -> tuple[pl.Series, Flags]:
        """Return verdicts beside what is known, and which rows were known before the batch."""
        is_known, is_same = _compared(self._known, prints)
        is_own, is_repeated = _compared(self._own, prints)
        is_before = np.zeros(rows.height, np.bool_)
        is_before[order[is_same]] = True
        found = np.full(rows.height, Verdict.NEW, np.uint8)
        found[order[is_known | is_own]] = Verdict.CONFLICT
        found[rows["is_state"].to_numpy()] = Verdict.NEW
        found[order[is_same | is_repeated]] = Verdict.DUPLICATE
        return pl.Series(found), is_before


class RecentEvents:
    """One tenant's window of one data type; a batch has it for itself while it runs."""

    def __init__(self, limit: int, folder: Path | None = None) -> None:
        self._limit = limit
        self._storage = Storage(limit // _IN_MEMORY, folder)
        self._segments: list[Segment] = []
        self._seen = Seen()
        self._turns = Turns()

    @property
    def row_count(self) -> int:
        """How many events are remembered."""
        return sum(segment.height for segment in self._segments)

    @property
    def weight(self) -> int:
        """How many rows in memory it counts as."""
        return sum(
            segment.rows_in_memory + segment.rows_on_disk // _ON_DISK for segment in self._segments
        )

    def turn(self) -> AbstractContextManager[Turn]:
        """Queue for the window."""
        return self._turns.queue(self)

    @contextmanager
    def batch(
        self, history: History, tenant_id: str, data_type: DataType, turn: Turn | None = None
    ) -> Iterator["BatchSession"]:
        """Bring the window up to date and lend it to one batch; others of the tenant wait.

        With a `turn` of this window the batch has queued for it already.
        """
        with self.turn() if turn is None else nullcontext(turn) as mine:
            mine.wait()
            self._catch_up(history, tenant_id, data_type)
            yield BatchSession(self)

    def _catch_up(self, history: History, tenant_id: str, data_type: DataType) -> None:
        """Take in what others have stored.

        When the history cannot be read its error is raised, and the window stays as it was: a file
        counts as seen once its rows are in.
        """
        seen = self._seen.copy()
        read: BatchWindow | None = None
        for rows in history.unseen(tenant_id, data_type, seen, self._limit):
            read = read or BatchWindow([] if seen.is_void else self._segments, self._storage)
            read.add(rows)
        if read is not None:
            self._segments = self._newest(read)
        elif seen.is_void:
            self._segments = []
        self._seen = seen

    def window(self) -> BatchWindow:
        """Return a copy for a batch to write on."""
        return BatchWindow(self._segments, self._storage)

    def publish(self, window: BatchWindow, batch_id: str, rows: int | None = None) -> None:
        """Take over what a committed batch has added: so many rows, if that is known."""
        self._segments = self._newest(window)
        self._seen.batches.add(batch_id)
        known = rows is not None and self._seen.added is not None
        self._seen.added = self._seen.added + rows if known else None  # type: ignore[operator]

    def _newest(self, window: BatchWindow) -> list[Segment]:
        """Return what is to be remembered: batches are kept, or forgotten, as a whole."""
        most = max(1, self._limit // _OF_BATCHES)
        kept = gathered(window.segments, self._storage.merged, most)
        spare = sum(segment.height for segment in kept) - self._limit
        while kept and kept[0].height <= spare:
            spare -= kept.pop(0).height
        return kept


class BatchSession:
    """A batch's hold on a window; may be started over."""

    def __init__(self, events: RecentEvents) -> None:
        self._events = events

    def start(self) -> BatchWindow:
        """Return the window as it stood before the batch."""
        return self._events.window()

    def publish(self, window: BatchWindow, batch_id: str, rows: int | None = None) -> None:
        """Keep what the batch added (`rows`): call it once the batch is committed."""
        self._events.publish(window, batch_id, rows)


class DedupeWindows:
    """The windows of all tenants; the least recently used go when the total grows too large."""

    def __init__(
        self, rows: int = WINDOW_ROWS, total_rows: int = TOTAL_ROWS, folder: Path | None = None
    ) -> None:
        """Keep what is on disk in the folder; without one where temporary files are."""
        self._rows = rows
        self._folder = folder
        self._total_rows = max(rows, total_rows)
        self._windows: OrderedDict[tuple[str, DataType], RecentEvents] = OrderedDict()
        self._lock = Lock()

    def of(self, tenant_id: str, data_type: DataType) -> RecentEvents:
        """Return the window of a tenant and data type, empty when it was never used or dropped."""
        with self._lock:
            key = (tenant_id, data_type)
            window = self._windows.pop(key, None) or RecentEvents(self._rows, self._folder)
            self._windows[key] = window
            spare = self._total_rows - self._rows
            while len(self._windows) > 1 and self._others() > spare:
                self._windows.popitem(last=False)
            return window

    def _others(self) -> int:
        windows = list(self._windows.values())
        return sum(window.weight for window in windows[:-1])


def _compared(segments: Iterable[Segment], prints: Prints) -> tuple[Flags, Flags]:
    """Return which keys one of the segments knows, and which with this payload."""
    is_known, is_same = np.zeros(prints.height, np.bool_), np.zeros(prints.height, np.bool_)
    for segment in segments:
        known, same = segment.compare(prints)
        is_known |= known
        is_same |= same
    return is_known, is_same


def _has_states(rows: pl.DataFrame) -> bool:
    """Whether a row may take the place of another one: of interactions none does."""
    if "state_key" in rows.columns:
        return True
    return "is_state" in rows.columns and bool(rows["is_state"].any())


def _left(segments: Iterable[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.height]
