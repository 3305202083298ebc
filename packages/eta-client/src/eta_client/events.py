"""Events as the service takes them, and what it says of them."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from eta_client.errors import EventTooLargeError

EVENTS: Final = "/v1/events"
ITEMS: Final = "/v1/items"
USERS: Final = "/v1/users"

Moment = datetime | int | None
"""A time: aware (naive is taken for UTC), milliseconds since 1970, or None for now."""


class _Rising:
    """Milliseconds of the clock, each later than the one before; for all threads."""

    def __init__(self) -> None:
        self._lock, self._last = Lock(), 0

    def next(self) -> int:
        """Return now, or the first millisecond that was not returned yet."""
        with self._lock:
            self._last = max(self._last + 1, milliseconds(None))
            return self._last


_LATEST: Final = _Rising()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that the service refused, with every reason; it keeps it in quarantine."""

    event: dict[str, Any] = field(repr=False)
    reasons: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Warned:
    """An event that the service took, and what it finds odd about it; each code has a meaning."""

    event: dict[str, Any] = field(repr=False)
    warnings: list[dict[str, str]]


def interaction(
    user_id: str,
    item_id: str,
    interaction_type: str,
    *,
    timestamp: Moment = None,
    event_id: str | None = None,
    rating: float | None = None,
    context: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Return an interaction; without an `event_id` it gets one, so a repetition is known."""
    event: dict[str, Any] = {
        "event_id": event_id or str(uuid.uuid4()),
        "user_id": user_id,
        "item_id": item_id,
        "interaction_type": interaction_type,
        "timestamp": milliseconds(timestamp),
    }
    if rating is not None:
        event["rating"] = rating
    if context:
        event["context"] = dict(context)
    return event


def item(item_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a catalogue row, dated as `_dated` says."""
    given = dict(fields)
    if given.get("available_from") is not None:
        given["available_from"] = milliseconds(given["available_from"])
    return _dated({"item_id": item_id, **given})


def user(user_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state of a user, dated as `_dated` says."""
    return _dated({"user_id": user_id, **fields})


def _dated(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state whose `updated_at` is now unless it says otherwise.

    Of two that do not say, the later one of a process has the later time, also within one
    millisecond or after the clock was put back: it must win.
    """
    moment = state.pop("updated_at", None)
    return {**state, "updated_at": _LATEST.next() if moment is None else milliseconds(moment)}


def encoded(event: Mapping[str, Any], limit: int) -> bytes:
    """Return an event as JSON; raises `EventTooLargeError`, and `TypeError` for what is none."""
    body = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > limit:
        raise EventTooLargeError(limit)
    return body


def milliseconds(moment: Moment) -> int:
    """Return a time in milliseconds since 1970."""
    if moment is None:
        moment = datetime.now(UTC)
    if isinstance(moment, int):
        return moment
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000)
