"""What to send and what an answer means, without any input or output: both clients share it."""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from eta_client.events import Rejected, Warned
from eta_client.options import ClientOptions
from eta_client.spool import Batch

PACK_ABOVE: Final = 1_024
LONGEST_RETRY_AFTER: Final = 3_600.0

_TOLD: Final = frozenset({200, 202, 207, 422})
_CLOSED: Final = frozenset({401, 403, 404})
_TOO_MUCH: Final = 413
_NOT_READ: Final = 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch after an attempt to send it.

    `is_done`: the service has it, or refused it for good; `rejected` are events it refused,
    `warned` those it found something odd about. Else it is tried again after `wait` seconds, in
    smaller batches when `is_too_much`; waiting alone will not help where it `needs_a_person`.
    """

    is_done: bool
    rejected: tuple[Rejected, ...] = ()
    wait: float = 0.0
    is_too_much: bool = False
    problem: str = ""
    needs_a_person: bool = False
    warned: tuple[Warned, ...] = ()


class Delivery:
    """Knows how requests look and when to try again; one sender."""

    def __init__(
        self, options: ClientOptions, draw: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._options = options
        self._draw = draw
        self._failures = 0
        self.batch_events = options.batch_events

    def request(self, batch: Batch) -> tuple[bytes, dict[str, str]]:
        """Return a request's body and headers."""
        body = b"[" + b",".join(batch.bodies) + b"]"
        headers = {"Content-Type": "application/json"}
        if len(body) > PACK_ABOVE:
            body = gzip.compress(body, 5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return body, headers

    def no_answer(self, problem: str) -> Verdict:
        """Return what to do when the service did not answer."""
        return Verdict(is_done=False, wait=self._wait(0.0), problem=problem)

    def answered(
        self, batch: Batch, status: int, headers: Mapping[str, str], content: bytes
    ) -> Verdict:
        """Return what an answer means for a batch."""
        results = _results(status, content)
        if results is not None and len(results) == len(batch.bodies):
            self._failures = 0
            self.batch_events = min(self.batch_events * 2, self._options.batch_events)
            return Verdict(
                is_done=True, rejected=_rejected(batch, results), warned=_warned(batch, results)
            )
        if status in (_TOO_MUCH, _NOT_READ):
            return self._refused(batch, status, content)
        wait = self._wait(retry_after(headers.get("retry-after")))
        problem = f"status {status} {_code(content)}"
        is_closed = status in _CLOSED
        return Verdict(is_done=False, wait=wait, problem=problem, needs_a_person=is_closed)

    def _refused(self, batch: Batch, status: int, content: bytes) -> Verdict:
        """Find the event that is to blame by halving; alone it is refused for good."""
        if len(batch.bodies) > 1:
            self.batch_events = max(1, len(batch.bodies) // 2)
            return Verdict(is_done=False, is_too_much=True, problem=f"status {status}")
        reason = {"code": _code(content), "field": "", "reason": f"refused with status {status}"}
        return Verdict(is_done=True, rejected=(Rejected(json.loads(batch.bodies[0]), [reason]),))

    def _wait(self, at_least: float) -> float:
        """Full jitter, on top of what the service asked for, so that clients do not meet again."""
        options = self._options
        most = min(options.longest_wait, options.first_wait * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return at_least + self._draw(0.0, most)


def retry_after(value: str | None) -> float:
    """Return the seconds of a `Retry-After` header, a number or a date; 0 when there is none."""
    if not value:
        return 0.0
    try:
        seconds = float(value) if value.isdecimal() else _until(value)
    except (ValueError, TypeError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _until(value: str) -> float:
    moment = parsedate_to_datetime(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()


def _results(status: int, content: bytes) -> list[dict[str, Any]] | None:
    if status not in _TOLD:
        return None
    found = _json(content).get("results")
    return found if isinstance(found, list) else None


def _rejected(batch: Batch, results: list[dict[str, Any]]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(json.loads(body), result.get("reasons") or [])
        for body, result in zip(batch.bodies, results, strict=True)
        if result.get("status") == "rejected"
    )


def _warned(batch: Batch, results: list[dict[str, Any]]) -> tuple[Warned, ...]:
    return tuple(
        Warned(json.loads(body), result["warnings"])
        for body, result in zip(batch.bodies, results, strict=True)
        if result.get("warnings")
    )


def _code(content: bytes) -> str:
    return str(_json(content).get("code", "refused"))


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
