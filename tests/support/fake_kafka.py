"""Topics in memory, a consumer over them, and faults at numbered steps, for tests of the loop."""

import time
from collections.abc import Callable, Iterable
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import RebalanceInProgressError

from ingest_service.sources.kafka.sink import Bounds


class Topics:
    """The messages of every partition; appended to by the test, read by consumers."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {}
        self.first: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.refused_commits = 0
        """How many of the next asynchronous commits the coordinator refuses."""

    def append(
        self, part: TopicPartition, value: bytes | None, key: bytes | None, **more: Any
    ) -> int:
        log = self.logs.setdefault(part, [])
        size = -1 if value is None else len(value)
        about = {"timestamp": 0, "headers": [], "serialized_value_size": size, **more}
        log.append(SimpleNamespace(key=key, value=value, offset=len(log), **about))
        return len(log) - 1

    def bounds(self, _: Any, parts: Iterable[TopicPartition], numbers: dict[str, int]) -> Any:
        return {
            part: Bounds(self.first.get(part, 0), len(self.logs[part]), numbers[part.topic])
            for part in parts
        }


class Faults:
    """Raises an error the next times that a step is reached; counts how often it did."""

    def __init__(self) -> None:
        self._armed: dict[str, tuple[Callable[[], BaseException], int]] = {}
        self._lock = Lock()
        self.seen: set[str] = set()
        self.clock: Callable[[], float] = time.monotonic
        self.last_at = 0.0
        """When a fault was raised last, by the clock."""

    def arm(self, step: str, make: Callable[[], BaseException], times: int = 1) -> None:
        with self._lock:
            self._armed[step] = (make, times)

    def is_spent(self, step: str) -> bool:
        with self._lock:
            return step not in self._armed

    def reach(self, step: str) -> None:
        self.seen.add(step)
        with self._lock:
            make, times = self._armed.get(step, (None, 0))
            if make is None:
                return
            if times > 1:
                self._armed[step] = (make, times - 1)
            else:
                del self._armed[step]
        self.last_at = self.clock()
        raise make()

    def wrap(self, patch: pytest.MonkeyPatch, owner: Any, name: str, step: str) -> None:
        """Reach `STEP` before a method is called, and `STEP, answer lost` after it."""
        whole = getattr(owner, name)

        def wrapped(*arguments: Any, **more: Any) -> Any:
            self.reach(step)
            answer = whole(*arguments, **more)
            self.reach(f"{step}, answer lost")
            return answer

        patch.setattr(owner, name, wrapped)


class FakeConsumer:
    """As much of kafka-python's consumer as the loop uses; alone in its group."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._listener: Any = None
        self._said: list[tuple[Any, Any, Exception | None]] = []
        self._fetcher = SimpleNamespace(_parse_fetched_data=None, PartitionRecords=None)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {part.partition for part in self._topics.logs if part.topic == topic}

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self._listener = listener

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        new = set(self._topics.logs) - set(self._positions)
        if new:
            self._positions.update(dict.fromkeys(new, 0))
            self._listener.on_partitions_assigned(new)
        while self._said:  # as kafka-python does: callbacks are called by whoever polls
            callback, offsets, said = self._said.pop(0)
            if callback is not None:
                callback(offsets, said)
        found = {}
        for part, position in self._positions.items():
            records = self._topics.logs[part][position:]
            if records and part not in self._paused:
                found[part] = records
                self._positions[part] = records[-1].offset + 1
        if not found:
            time.sleep(timeout_ms / 1_000)
        return found

    def position(self, part: TopicPartition, timeout_ms: int | None = None) -> int:
        return self._positions[part]

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._positions[part] = offset

    def pause(self, part: TopicPartition) -> None:
        self._paused.add(part)

    def resume(self, part: TopicPartition) -> None:
        self._paused.discard(part)

    def end_offsets(
        self, parts: list[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, int]:
        return {part: len(self._topics.logs[part]) for part in parts}

    def commit_async(self, offsets: Any, callback: Any = None) -> None:
        if self._topics.refused_commits:
            self._topics.refused_commits -= 1
            self._said.append((callback, offsets, RebalanceInProgressError()))
        else:
            self._note(offsets)
            self._said.append((callback, offsets, None))

    def _note(self, offsets: Any) -> None:
        self._topics.committed.update({part: at.offset for part, at in offsets.items()})

    def commit(self, offsets: Any, timeout_ms: int) -> None:
        self._note(offsets)

    def close(self, autocommit: bool, timeout_ms: int) -> None: ...
