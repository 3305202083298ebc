"""What the two clients have in common: all but the waiting."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import httpx

from eta_client.delivery import Delivery, Verdict
from eta_client.errors import SdkError
from eta_client.events import (
    EVENTS,
    ITEMS,
    USERS,
    Moment,
    Rejected,
    Warned,
    encoded,
    interaction,
    item,
    user,
)
from eta_client.options import ClientOptions
from eta_client.spool import Batch, Spool, default_path

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 10.0


class Wake(Protocol):
    """An event that the sender waits for."""

    def set(self) -> None:
        """Let the sender go on."""


def note_rejected(rejected: Rejected) -> None:
    """Log that an event was refused, by its reasons alone."""
    codes = ", ".join(sorted({reason.get("code", "?") for reason in rejected.reasons}))
    _log.warning("an event was rejected: %s", codes)


def note_warned(warned: Sequence[Warned]) -> None:
    """Log how often which warning came in one answer."""
    codes = Counter(one.get("code", "?") for event in warned for one in event.warnings)
    told = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
    _log.warning("events were taken with warnings: %s", told)


class BaseClient(ABC):
    """Keeps events on disk and says what becomes of them; `_start` makes what sends them."""

    _wake: Wake

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        options: ClientOptions | None = None,
        on_rejected: Callable[[Rejected], None] = note_rejected,
        on_warned: Callable[[Sequence[Warned]], None] = note_warned,
    ) -> None:
        self._options = options or ClientOptions()
        self._url = url.rstrip("/")
        spool = self._options.spool or default_path(self._url, api_key)
        self._spool = Spool(spool, self._options)
        self._delivery = Delivery(self._options)
        self._on_rejected = on_rejected
        self._on_warned = on_warned
        self._tracked = 0
        self._is_closed = False
        self._start(
            base_url=self._url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=self._options.timeout,
        )

    @abstractmethod
    def _start(self, **connection: Any) -> None:
        """Make what sends: an HTTP client with this connection, and who uses it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def track(
        self,
        user_id: str,
        item_id: str,
        interaction_type: str,
        *,
        timestamp: Moment = None,
        event_id: str | None = None,
        rating: float | None = None,
        context: Mapping[str, str | None] | None = None,
    ) -> str:
        """Keep an interaction and return its event id; it is sent soon.

        `interaction_type`: view, click, like, purchase or dislike, or what the tenant has
        declared. `context` may have `device_type`, `location`, `session_id`. Raises
        `EventTooLargeError` and `SpoolFullError`.
        """
        event = interaction(
            user_id,
            item_id,
            interaction_type,
            timestamp=timestamp,
            event_id=event_id,
            rating=rating,
            context=context,
        )
        self._keep(EVENTS, event)
        return str(event["event_id"])

    def upsert_item(self, item_id: str, **fields: Any) -> None:
        """Keep what a catalogue item is like; it is sent soon.

        Fields: `title`, `category`, `price`, `available_from`, `is_active`, `attributes` (a
        mapping), and `updated_at`, by default now. One that is not given stays as it was; one that
        is None is cleared. Raises as `track` does.
        """
        self._keep(ITEMS, item(item_id, fields))

    def upsert_user(self, user_id: str, **fields: Any) -> None:
        """Keep what is known of a user, and what the user agrees to; it is sent soon.

        Fields: `attributes` (a mapping of texts, numbers and booleans), `consent` (a mapping of
        purposes to booleans, such as `{"training": False}`), and `updated_at`, by default now. One
        that is not given stays as it was; of `consent` each purpose does. Raises as `track` does.
        """
        self._keep(USERS, user(user_id, fields))

    @property
    def waiting(self) -> int:
        """How many events are kept and not stored by the service yet."""
        return self._spool.waiting()

    def _keep(self, path: str, event: dict[str, Any]) -> None:
        if self._is_closed:
            raise SdkError("the client is closed", remedy="make a new one")
        self._spool.add(path, encoded(event, self._options.event_bytes))
        self._tracked += 1
        if self._tracked >= self._options.batch_events:
            self._wake.set()

    def _lease(self) -> Batch | None:
        return self._spool.lease(self._delivery.batch_events, self._options.batch_bytes)

    def _request(self, batch: Batch) -> dict[str, Any]:
        body, headers = self._delivery.request(batch)
        return {"url": batch.path, "content": body, "headers": headers}

    def _verdict(self, batch: Batch, outcome: httpx.Response | httpx.HTTPError) -> Verdict:
        if isinstance(outcome, httpx.HTTPError):
            return self._delivery.no_answer(type(outcome).__name__)
        return self._delivery.answered(batch, outcome.status_code, outcome.headers, outcome.content)

    def _settle(self, batch: Batch, verdict: Verdict) -> None:
        if not verdict.is_done:
            level = logging.WARNING if verdict.needs_a_person else logging.INFO
            _log.log(level, "events were not stored yet: %s", verdict.problem)
            self._spool.give_back(batch)
            return
        for rejected in verdict.rejected:
            _told("on_rejected", self._on_rejected, rejected)
        if verdict.warned:
            _told("on_warned", self._on_warned, verdict.warned)
        self._spool.drop(batch)


def _told(name: str, callback: Callable[[Any], None], about: object) -> None:
    try:
        callback(about)
    except Exception as error:  # noqa: BLE001 - the program's own; events must go on
        _log.warning("%s failed: %s", name, type(error).__name__)
