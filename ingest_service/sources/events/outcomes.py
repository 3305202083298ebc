"""What became of each event, as its sender is told: stored, duplicate, rejected with reasons."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from ingest_service.dedupe.window import Verdict
from ingest_service.pipeline.batch import Result


class EventStatus(StrEnum):
    """What can become of an event; stored, rejected and queued ones take up room."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    SKIPPED = "skipped"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class EventResults:
    """What the sender of a request is told.

    `results` is a JSON array with an object per event, in their order; `counts` has the statuses
    that occur in it, `warnings` how often it has which warning.
    """

    received: int
    counts: Mapping[EventStatus, int]
    results: bytes = field(repr=False)
    warnings: Mapping[str, int] = field(default_factory=dict)

    def count(self, status: EventStatus) -> int:
        """Return how many events have this status."""
        return self.counts.get(status, 0)


@dataclass(slots=True)
class Outcomes:
    """What became of events, in their order; `reasons` by position, of rejected ones.

    `warnings`, by position as well, are of events whatever became of them.
    """

    statuses: list[EventStatus] = field(default_factory=list)
    event_ids: list[str | None] = field(default_factory=list)
    reasons: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    warnings: dict[int, list[dict[str, str]]] = field(default_factory=dict)

    def part(self, start: int, count: int) -> "Outcomes":
        """Return those of one request among many."""
        end = start + count
        reasons, warnings = (
            {at - start: one[at] for at in range(start, end) if at in one} if one else {}
            for one in (self.reasons, self.warnings)
        )
        return Outcomes(self.statuses[start:end], self.event_ids[start:end], reasons, warnings)

    def results(self) -> EventResults:
        """Return what the sender is told."""
        results = msgspec.json.encode(self._results())
        warnings = Counter(one["code"] for of_event in self.warnings.values() for one in of_event)
        return EventResults(len(self.statuses), Counter(self.statuses), results, warnings)

    def _results(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for at, status in enumerate(self.statuses):
            event_id = self.event_ids[at]
            one: dict[str, Any] = {"status": status.value}
            if event_id is not None:
                one["event_id"] = event_id
            if at in self.reasons:
                one["reasons"] = self.reasons[at]
            if at in self.warnings:
                one["warnings"] = self.warnings[at]
            found.append(one)
        return found


_ESCAPED: Final = r'[\x00-\x1f"\\]'

_STATUS = {
    Verdict.NEW: EventStatus.STORED,
    Verdict.DUPLICATE: EventStatus.DUPLICATE,
    Verdict.CONFLICT: EventStatus.REJECTED,
}


def told_of(results: Sequence[Result], sizes: Sequence[int]) -> Iterator[EventResults]:
    """Yield what became of the rows of a batch, to be told to the requests they are of.

    `sizes` are the requests' numbers of events. Batches of one piece without a wrong or odd row,
    which are nearly all of those that matter, are written out by the column.
    """
    if len(results) == 1 and _is_plain(results[0]):
        yield from _told_by_column(results[0], sizes)
        return
    found = Outcomes()
    for piece in results:
        _add(found, piece)
    first = 0
    for size in sizes:
        yield found.part(first, size).results()
        first += size


def _is_plain(piece: Result) -> bool:
    """Whether every row is stored or a duplicate, and its id is written in JSON as it is."""
    ids = piece.accepted["event_id"]
    return (
        len(ids) == piece.count
        and not piece.warnings.height
        and not (piece.verdicts == Verdict.CONFLICT).any()
        and not ids.str.contains(_ESCAPED).any()
    )


def _told_by_column(piece: Result, sizes: Sequence[int]) -> Iterator[EventResults]:
    is_new = piece.verdicts == Verdict.NEW
    status = pl.when(is_new).then(pl.lit("stored")).otherwise(pl.lit("duplicate"))
    begin, between, end = map(pl.lit, ('{"status":"', '","event_id":"', '"},'))
    row = pl.concat_str(begin, status, between, "event_id", end)
    rows = piece.accepted.select(row=row).to_series().rechunk()
    array = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, data = array.buffers()
    bounds = np.frombuffer(ends, dtype=np.int64)[array.offset :]
    text = memoryview(data)
    known = np.concatenate(([0], np.cumsum(~is_new.to_numpy())))
    first = 0
    for size in sizes:
        last = first + size
        results = b"[%b]" % bytes(text[bounds[first] : bounds[last] - 1])
        duplicate = int(known[last] - known[first])
        counts = {EventStatus.STORED: size - duplicate, EventStatus.DUPLICATE: duplicate}
        yield EventResults(size, counts, results)
        first = last


def _add(found: Outcomes, piece: Result) -> None:
    first = len(found.statuses)
    # What is neither accepted nor refused is of an erased person.
    statuses = [EventStatus.SUPPRESSED] * piece.count
    ids: list[str | None] = [None] * piece.count
    rows: list[int] = piece.accepted["row"].to_list()
    event_ids: list[str] = piece.accepted["event_id"].to_list()
    for row, event_id, verdict in zip(rows, event_ids, piece.verdicts, strict=True):
        statuses[row] = _STATUS[Verdict(verdict)]
        ids[row] = event_id
    for row in piece.skipped:
        statuses[row] = EventStatus.SKIPPED
    for row, reasons in reasons_by_position(piece.refused).items():
        statuses[row] = EventStatus.REJECTED
        found.reasons[first + row] = reasons
    for row, warnings in reasons_by_position(piece.warnings).items():
        found.warnings[first + row] = warnings
    found.statuses += statuses
    found.event_ids += ids


def reasons_by_position(reasons: pl.DataFrame) -> dict[int, list[dict[str, str]]]:
    """Return every reason of each rejected row, or every warning of a row, by its position."""
    found: dict[int, list[dict[str, str]]] = {}
    for row, code, name, message in reasons.select("row", "code", "field", "message").iter_rows():
        found.setdefault(row, []).append({"code": code, "field": name, "reason": message})
    return found
