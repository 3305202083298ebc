"""Loops beside the requests: one that ends for any reason is noticed and begun again."""

import asyncio
import logging
from asyncio import Task, TimerHandle
from collections.abc import Callable, Coroutine
from typing import Any, Final

_log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 1.0


class Background:
    """Keeps one loop running; `name` stands in the log. One event loop.

    Between `start` and `stop` the loop runs, or begins again within `pause` seconds, whether it
    returned, raised or was cancelled.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Coroutine[Any, Any, None]],
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._name = name
        self._run = run
        self._pause = pause
        self._task: Task[None] | None = None
        self._timer: TimerHandle | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def stop(self, grace: float = 0) -> None:
        """End: the loop has `grace` seconds to return by itself. Never raises for the loop."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is None:
            return
        if grace:
            await asyncio.wait({self._task}, timeout=grace)
        self._task.cancel()
        await asyncio.wait({self._task})

    def _ended(self, task: "Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if self._is_stopping:
            return
        kind = type(error).__qualname__ if error is not None else "no error"
        _log.error("%s ended (%s); it begins again", self._name, kind)
        self._timer = asyncio.get_running_loop().call_later(self._pause, self.start)
