"""The newest events of a tenant, as fingerprints, and what they say about arriving rows.

Exact within the window: 32 bytes per event, by default the newest million per tenant and data
type. What lies further back is stored again and removed by staging, which counts it; so the window
saves storage and tells senders early, and correctness does not rest on it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.dedupe.turns import Turn, Turns
from ingest_service.dedupe.verdicts import Verdict as Verdict
from ingest_service.dedupe.verdicts import judge_repeated, judge_states, newest_states, state_key
from lakehouse.contracts.tenant import DataType

WINDOW_ROWS: Final = 1_000_000
TOTAL_ROWS: Final = 2_000_000
FINGERPRINT_SCHEMA: Final = pl.Schema({"key": pl.UInt128, "payload": pl.UInt64})


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
        """Yield fingerprints of files not in `seen`, oldest first, the newest `limit` rows or so.

        Makes `seen.files` the files that the table has now, and empties `seen.batches`. Sets
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


@dataclass(frozen=True, slots=True)
class Segment:
    """Fingerprints, oldest first, and the sorted hashes of their keys: a sieve.

    A key whose hash is not among them is not in `rows`; most arriving keys are in no segment, and
    to find that out costs a hundredth of a join. After rows were dropped there may be too many.
    """

    rows: pl.DataFrame
    hashes: npt.NDArray[np.uint64] = field(repr=False)

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "Segment":
        """Return rows as a segment."""
        return cls(rows, np.sort(_hashes(rows)))

    @property
    def height(self) -> int:
        """How many events it holds."""
        return self.rows.height

    def may_hold(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return for each hash whether a key of it may be here; quickest when they are sorted."""
        places = np.searchsorted(self.hashes, hashes)
        return self.hashes[np.minimum(places, len(self.hashes) - 1)] == hashes  # type: ignore[no-any-return]


class BatchWindow:
    """The window as one batch sees it: the tenant's, plus the batch's own rows so far."""

    def __init__(self, segments: list[Segment], limit: int) -> None:
        self._segments = segments
        self._limit = limit

    @property
    def segments(self) -> list[Segment]:
        """Fingerprints, oldest first, at most the limit in all."""
        return self._segments

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
        verdicts = self._judge_known(rows)
        fresh = rows.filter((verdicts == Verdict.NEW) & ~rows["is_state"])
        if not fresh["key"].is_first_distinct().all():
            verdicts = verdicts.scatter(fresh["row"], judge_repeated(fresh))
        if rows["is_state"].any():
            verdicts = judge_states(rows, verdicts)
        self._remember(rows.filter(verdicts == Verdict.NEW))
        return verdicts

    def _judge_known(self, rows: pl.DataFrame) -> pl.Series:
        verdicts = pl.repeat(Verdict.NEW, rows.height, dtype=pl.UInt8, eager=True)
        if not rows.height:
            return verdicts
        hashes = np.sort(_hashes(rows))
        suspects = [one.rows for one in self._segments if one.may_hold(hashes).any()]
        if not suspects:
            return verdicts
        known = pl.concat(suspects, rechunk=False)
        # The arriving rows are the smaller side, so the hash table is built over them.
        hits = known.join(rows, on="key", how="inner", suffix="_new")
        if not hits.height:
            return verdicts
        judged = hits.group_by("row").agg(
            pl.when((pl.col("payload") == pl.col("payload_new")).any())
            .then(Verdict.DUPLICATE)
            .when(pl.col("is_state").first())
            .then(Verdict.NEW)
            .otherwise(Verdict.CONFLICT)
            .cast(pl.UInt8)
            .alias("verdict")
        )
        return verdicts.scatter(judged["row"], judged["verdict"])

    def _remember(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        self._segments = _newest(_with(self._segments, rows), self._limit)


class RecentEvents:
    """One tenant's window of one data type; a batch has it for itself while it runs."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._segments: list[Segment] = []
        self._seen = Seen()
        self._turns = Turns()

    @property
    def row_count(self) -> int:
        """How many events are remembered."""
        return sum(segment.height for segment in self._segments)

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
        fresh = list(history.unseen(tenant_id, data_type, seen, self._limit))
        segments = [] if seen.is_void else self._segments
        for rows in fresh:
            segments = _with(segments, rows)
        self._segments, self._seen = _newest(segments, self._limit), seen

    def window(self) -> BatchWindow:
        """Return a copy for a batch to write on."""
        return BatchWindow(list(self._segments), self._limit)

    def publish(self, window: BatchWindow, batch_id: str, rows: int | None = None) -> None:
        """Take over what a committed batch has added: so many rows, if that is known."""
        self._segments = window.segments
        self._seen.batches.add(batch_id)
        known = rows is not None and self._seen.added is not None
        self._seen.added = self._seen.added + rows if known else None  # type: ignore[operator]


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

    def __init__(self, rows: int = WINDOW_ROWS, total_rows: int = TOTAL_ROWS) -> None:
        self._rows = rows
        self._total_rows = max(rows, total_rows)
        self._windows: OrderedDict[tuple[str, DataType], RecentEvents] = OrderedDict()
        self._lock = Lock()

    def of(self, tenant_id: str, data_type: DataType) -> RecentEvents:
        """Return the window of a tenant and data type, empty when it was never used or dropped."""
        with self._lock:
            key = (tenant_id, data_type)
            window = self._windows.pop(key, None) or RecentEvents(self._rows)
            self._windows[key] = window
            spare = self._total_rows - self._rows
            while len(self._windows) > 1 and self._others() > spare:
                self._windows.popitem(last=False)
            return window

    def _others(self) -> int:
        windows = list(self._windows.values())
        return sum(window.row_count for window in windows[:-1])


def _hashes(rows: pl.DataFrame) -> npt.NDArray[np.uint64]:
    return rows["key"].hash().to_numpy()


def _with(segments: list[Segment], rows: pl.DataFrame) -> list[Segment]:
    """Add rows behind the others; any catalogue row takes the place of its item's older state."""
    if "state_key" in rows.columns or ("is_state" in rows.columns and rows["is_state"].any()):
        gone = rows.select(key=state_key(rows)).drop_nulls().unique()
        if gone.height:
            hashes = np.sort(_hashes(gone))
            segments = [
                _without(one, gone) if one.may_hold(hashes).any() else one for one in segments
            ]
            segments = [segment for segment in segments if segment.height]
        rows = newest_states(rows)
    if not rows.height:
        return segments
    return _gathered([*segments, Segment.of(rows.select("key", "payload"))])


def _without(segment: Segment, states: pl.DataFrame) -> Segment:
    return replace(segment, rows=segment.rows.join(states, on="key", how="anti"))


def _gathered(segments: list[Segment]) -> list[Segment]:
    """Put small segments together, so that there are few however small the batches are.

    Each is more than twice the next, so a row is copied as often as its number has binary digits.
    """
    while len(segments) > 1 and segments[-2].height <= 2 * segments[-1].height:
        *segments, older, newer = segments
        segments.append(Segment.of(pl.concat([older.rows, newer.rows], rechunk=True)))
    return segments


def _newest(segments: list[Segment], limit: int) -> list[Segment]:
    excess = sum(segment.height for segment in segments) - limit
    kept = list(segments)
    while excess > 0:
        oldest = kept.pop(0)
        if oldest.height > excess:
            kept.insert(0, replace(oldest, rows=oldest.rows.slice(excess)))
        excess -= oldest.height
    return kept
