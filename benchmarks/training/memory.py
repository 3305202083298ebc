"""What the driver JVM takes: peak resident memory and processor time, phase by phase."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

import psutil

SAMPLE_SECONDS: Final = 0.1


class JavaProcess:
    """The JVM that this process started; its resident size is sampled in a thread."""

    def __init__(self) -> None:
        children = psutil.Process().children(recursive=True)
        self._process = next(child for child in children if child.name() == "java")
        self._stopped = Event()
        self._peak = 0
        self._worked = self.processor_seconds()

    @contextmanager
    def sampled(self) -> Iterator["JavaProcess"]:
        """Sample until the end of the block."""
        thread = Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join()

    def take(self) -> dict[str, Any]:
        """Return peak size (MB of 2^20 bytes) and processor time since the last call."""
        worked, self._worked = self._worked, self.processor_seconds()
        peak, self._peak = max(self._peak, self._process.memory_info().rss), 0
        return {
            "peak_rss_mb": round(peak / 2**20),
            "processor_seconds": round(self._worked - worked, 2),
        }

    def processor_seconds(self) -> float:
        """Return what the JVM has worked since it started."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)
