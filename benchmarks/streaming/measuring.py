"""When rows become readable: a new reader looks again and again, and its looks are compared."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from kafka import KafkaConsumer, TopicPartition

from lakehouse.storage.row_counts import row_count

LOOK_SECONDS = 0.05


def rows_of(path: str) -> int:
    """Return how many rows a new reader of the table sees."""
    try:
        return row_count(DeltaTable(path))
    except (DeltaError, OSError):
        return 0


@dataclass
class Looks:
    """What new readers saw: at which moment how many rows."""

    path: str
    moments: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look all the time, in a thread."""
        stop = Event()

        def look() -> None:
            while not stop.wait(LOOK_SECONDS):
                seen = rows_of(self.path)
                self.moments.append(time.time())
                self.rows.append(seen)

        thread = Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def latencies(self, made_at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return seconds until each message, made at these moments, was seen; inf for never."""
        first = np.searchsorted(np.array(self.rows), np.arange(1, len(made_at) + 1), side="left")
        moments = np.append(np.array(self.moments), np.inf)
        found: npt.NDArray[np.float64] = moments[first] - made_at
        return found


def timestamps(bootstrap: str, topic: str, count: int) -> npt.NDArray[np.float64]:
    """Return when each message of the topic's one used partition was made, in seconds."""
    found: list[float] = []
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_poll_records=10_000
    )
    part = _used_part(consumer, topic)
    consumer.assign([part])
    consumer.seek(part, 0)
    while len(found) < count:
        for records in consumer.poll(1_000).values():
            found += [record.timestamp / 1_000 for record in records]
    consumer.close()
    return np.array(found[:count])


def bare_loop(bootstrap: str, topic: str, count: int) -> float:
    """Poll and decode so many messages; return how many per second, from the first on."""
    import orjson

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        max_poll_records=20_000,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    part = _used_part(consumer, topic)
    consumer.assign([part])
    consumer.seek(part, 0)
    seen, began = 0, 0.0
    while seen < count:
        for records in consumer.poll(1_000).values():
            began = began or time.perf_counter()
            for record in records:
                orjson.loads(record.value)
            seen += len(records)
    seconds = time.perf_counter() - began
    consumer.close()
    return seen / seconds


def _used_part(consumer: KafkaConsumer, topic: str) -> TopicPartition:
    parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(parts)
    return max(parts, key=lambda part: ends[part])


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of this project until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait(is_true: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait until something holds; raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def summary(latencies: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the percentiles of latencies in seconds."""
    shares = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "max": 100}
    return {name: round(float(np.percentile(latencies, at)), 3) for name, at in shares.items()}
