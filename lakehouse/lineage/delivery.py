"""Tells runs beside the work that they are about, and never holds it up.

What is to be told waits in a bounded queue for one thread. What cannot be delivered is lost and
counted: a run of the models or an upload is worth more than what is told of it. When the
destination does not answer nothing is sent for a while, so that a run waits for it once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from lakehouse.extras import missing_extra
from lakehouse.lineage.facts import Names, Run
from lakehouse.lineage.losses import Told, keep_told
from lakehouse.storage.lake import Lake

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from lakehouse.lineage.destinations import Destination
    from lakehouse.settings import LakeSettings

Outcome = Literal["delivered", "failed", "dropped"]
"""Of a run that was to be told. `dropped`: without an attempt, as too many waited or the
destination had just failed."""
OUTCOMES: Final[tuple[Outcome, ...]] = ("delivered", "failed", "dropped")

MOST_WAITING: Final = 1_000
PAUSE_SECONDS: Final = 30.0
"""How long nothing is sent after a failure."""

_log = logging.getLogger(__name__)


class Lineage:
    """Tells runs to a destination, or to nobody; for several threads.

    `tell` returns at once and never raises. `close` waits for what is queued, `seconds` at most;
    what is on its way then counts as failed. `on_outcome` hears what became of each run, from any
    thread. `on_state` hears of the first loss after all went well, of the first delivery after a
    loss, and of all at the end.
    """

    def __init__(
        self,
        names: Names,
        destination: Destination | None = None,
        seconds: float = 0.0,
        events_of: Callable[[Run], Iterable[RunEvent]] = lambda _: (),
        *,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        on_state: Callable[[Told], None] = lambda _: None,
        most_waiting: int = MOST_WAITING,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self.names = names
        self.counts: Counter[Outcome] = Counter()
        self._destination = destination
        self._seconds = seconds
        self._events_of = events_of
        self._on_outcome = on_outcome
        self._on_state = on_state
        self._pause = pause
        self._silent_until = 0.0
        self._is_away = False
        self._why = ""
        self._is_sending = False
        self._lock = Lock()
        self._queue: Queue[Callable[[], Run] | None] = Queue(most_waiting)
        self._thread: Thread | None = None
        if destination is not None:
            self._thread = Thread(
                target=self._work, args=(destination,), name="lineage", daemon=True
            )
            self._thread.start()

    @property
    def is_on(self) -> bool:
        """Whether anybody is told."""
        return self._thread is not None

    def tell(self, make: Callable[[], Run]) -> None:
        """Have a run told soon; `make` is called in the thread that tells it."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait(make)
        except Full:
            self._count("dropped")

    def tell_all(self, make: Callable[[], Iterable[Run]]) -> None:
        """Have runs told soon; `make` is called here and now, if anybody is told."""
        if self._thread is None:
            return
        try:
            for run in make():
                self.tell(lambda run=run: run)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the work is done, whatever is told of it
            self._fail(error, "what was done could not be gathered for OpenLineage")

    def close(self) -> None:
        """Wait for what is queued, but not longer than `seconds`; safe to repeat."""
        thread, self._thread = self._thread, None
        if thread is None or self._destination is None:
            return
        deadline = monotonic() + self._seconds
        with suppress(Full):
            self._queue.put(None, timeout=self._seconds)
        thread.join(max(0.0, deadline - monotonic()))
        self._give_up()
        lost = self.counts["failed"] + self.counts["dropped"]
        if lost:
            told = (lost, self.counts.total(), self._destination.name)
            _log.warning("%d of %d runs were not told to OpenLineage at %s", *told)
        if self.counts.total():
            self._tell_state()

    def _give_up(self) -> None:
        """Count what waits or is on its way as lost; what comes of it later counts no more."""
        with suppress(Empty):
            while True:
                if self._queue.get_nowait() is not None:
                    self._count("dropped")
        self._queue.put(None)
        with self._lock:
            is_sending, self._is_sending = self._is_sending, False
        if is_sending:
            self._why = self._why or TimeoutError.__qualname__
            self._count("failed")

    def _work(self, destination: Destination) -> None:
        while (make := self._queue.get()) is not None:
            if monotonic() < self._silent_until:
                self._count("dropped")
                continue
            self._is_sending = True
            failure: Exception | None = None
            try:
                for event in self._events_of(make()):
                    destination.send(event)
            except Exception as error:  # noqa: BLE001 - whatever a destination or a fact raises
                failure = error
            with self._lock:
                is_heard, self._is_sending = self._is_sending, False
            if not is_heard:  # given up meanwhile
                return
            if failure is not None:
                self._silent_until = monotonic() + self._pause
                self._fail(failure, f"OpenLineage at {destination.name} cannot be told")
                continue
            self._count("delivered")
            if self._is_away:
                self._is_away = False
                _log.warning("OpenLineage at %s is told again", destination.name)
                self._tell_state()

    def _fail(self, error: Exception, what: str) -> None:
        """Count a failure, and say so once until it goes well again: by kind, not by text."""
        self._count("failed")
        self._why = type(error).__qualname__
        if not self._is_away:
            self._is_away = True
            self._tell_state()
            _log.warning("%s (%s); what is lost is counted", what, type(error).__qualname__)

    def _tell_state(self) -> None:
        if self._destination is None:
            return
        lost = self.counts["failed"] + self.counts["dropped"]
        told = Told(self._destination.name, self.counts["delivered"], lost, self._why)
        try:
            self._on_state(told)
        except OSError as error:
            _log.warning("what became of lineage cannot be kept (%s)", type(error).__qualname__)

    def _count(self, outcome: Outcome) -> None:
        with self._lock:
            self.counts[outcome] += 1
        self._on_outcome(outcome)


def open_lineage(
    settings: LakeSettings, *, on_outcome: Callable[[Outcome], None] = lambda _: None
) -> Lineage:
    """Return what tells runs as the settings say; without `ETA_OPENLINEAGE_URL` it tells nobody.

    Raises `EtaError` when a destination is set and the extra `lineage` is not installed.
    """
    names = Names(Lake(settings), settings.openlineage_namespace)
    seconds = settings.openlineage_seconds
    if settings.openlineage_url is None:
        return Lineage(names)
    try:  # the client takes a second: now, and not of the time that a job waits at its end
        from lakehouse.lineage.destinations import destination
        from lakehouse.lineage.events import run_events
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from error
    key = settings.openlineage_key
    secret = None if key is None else key.get_secret_value()
    goes_to = destination(settings.openlineage_url, secret, seconds)
    home = settings.home_dir
    return Lineage(
        names,
        goes_to,
        seconds,
        run_events,
        on_outcome=on_outcome,
        on_state=lambda told: keep_told(home, told, datetime.now(UTC)),
    )


@contextmanager
def lineage_of(settings: LakeSettings) -> Iterator[Lineage]:
    """Give what tells the runs of this block; at its end what waits is told."""
    lineage = open_lineage(settings)
    try:
        yield lineage
    finally:
        lineage.close()
