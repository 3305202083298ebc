"""What became of each event, as its sender is told: stored, duplicate, rejected with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import polars as pl

from ingest_service.batch import Judged
from ingest_service.dedupe.window import Verdict
from lakehouse.contracts.reasons import EXPLANATIONS, ReasonCode


class EventStatus(StrEnum):
    """What can become of an event; all but `suppressed` and `duplicate` take up room."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    QUEUED = "queued"


@dataclass(slots=True)
class Outcomes:
    """What became of events, in their order; `reasons` by position, of rejected ones."""

    statuses: list[EventStatus] = field(default_factory=list)
    event_ids: list[str | None] = field(default_factory=list)
    reasons: dict[int, list[dict[str, str]]] = field(default_factory=dict)

    def part(self, start: int, count: int) -> "Outcomes":
        """Return those of one request among many."""
        end = start + count
        reasons = {at - start: why for at, why in self.reasons.items() if start <= at < end}
        return Outcomes(self.statuses[start:end], self.event_ids[start:end], reasons)

    def count(self, status: EventStatus) -> int:
        """Return how many events have this status."""
        return self.statuses.count(status)

    def results(self) -> list[dict[str, Any]]:
        """Return a JSON value per event."""
        found: list[dict[str, Any]] = []
        for at, status in enumerate(self.statuses):
            event_id = self.event_ids[at]
            one: dict[str, Any] = {"status": status.value}
            if event_id is not None:
                one["event_id"] = event_id
            if at in self.reasons:
                one["reasons"] = self.reasons[at]
            found.append(one)
        return found


_STATUS = {
    Verdict.NEW: EventStatus.STORED,
    Verdict.DUPLICATE: EventStatus.DUPLICATE,
    Verdict.CONFLICT: EventStatus.REJECTED,
}


def outcomes_of(judged: Sequence[Judged]) -> Outcomes:
    """Return what became of the rows of a batch."""
    found = Outcomes()
    for piece in judged:
        _add(found, piece)
    return found


def _add(found: Outcomes, piece: Judged) -> None:
    first = len(found.statuses)
    # What is neither accepted nor refused is of an erased person.
    statuses = [EventStatus.SUPPRESSED] * piece.count
    ids: list[str | None] = [None] * piece.count
    rows: list[int] = piece.rows["row"].to_list()
    event_ids: list[str] = piece.rows["event_id"].to_list()
    if rows == list(range(piece.count)) and (piece.verdicts == Verdict.NEW).all():
        found.statuses += [EventStatus.STORED] * piece.count
        found.event_ids += event_ids
        return
    for row, event_id, verdict in zip(rows, event_ids, piece.verdicts, strict=True):
        statuses[row] = _STATUS[Verdict(verdict)]
        ids[row] = event_id
        if verdict == Verdict.CONFLICT:
            found.reasons[first + row] = [_CONFLICT]
    for row, reasons in reasons_by_position(piece.reasons).items():
        statuses[row] = EventStatus.REJECTED
        found.reasons[first + row] = reasons
    found.statuses += statuses
    found.event_ids += ids


def reasons_by_position(reasons: pl.DataFrame) -> dict[int, list[dict[str, str]]]:
    """Return every reason of each rejected row, by its position."""
    found: dict[int, list[dict[str, str]]] = {}
    for row, code, name, message in reasons.select("row", "code", "field", "message").iter_rows():
        found.setdefault(row, []).append({"code": code, "field": name, "reason": message})
    return found


_CONFLICT = {
    "code": ReasonCode.CONFLICTING_EVENT.value,
    "field": "event_id",
    "reason": EXPLANATIONS[ReasonCode.CONFLICTING_EVENT].meaning,
}
