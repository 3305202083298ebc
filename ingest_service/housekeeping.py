"""Work that nobody waits for, in one thread beside the requests: checks and table maintenance."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from typing import Final

_log = logging.getLogger(__name__)

STOP_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do every so often; `name` stands in the log."""

    name: str
    every: timedelta
    run: Callable[[], None]


class Housekeeper:
    """Runs tasks one after the other, each when it is due, first at the start.

    A task that fails is logged by the kind of its error and tried again when it is due next.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        self._thread = Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the task that is running; waits for it half a minute at most."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        due = dict.fromkeys(range(len(self._tasks)), monotonic())
        while self._tasks and not self._stopped.is_set():
            number = min(due, key=lambda task: due[task])
            if self._stopped.wait(max(0.0, due[number] - monotonic())):
                return
            task = self._tasks[number]
            try:
                task.run()
            except BaseException as error:  # noqa: BLE001 - the thread serves every later task
                _log.warning("%s failed: %s", task.name, type(error).__qualname__)
            due[number] = monotonic() + task.every.total_seconds()
