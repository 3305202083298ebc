"""Messages that wait for their micro-batch, per partition."""

from time import monotonic
from typing import Any

from kafka import TopicPartition


class Gathered:
    """What was polled and not handed over yet; true while there is any."""

    def __init__(self) -> None:
        self.rows = self.bytes = 0
        self.first_at = 0.0
        self._records: dict[TopicPartition, list[Any]] = {}
        self._after: dict[TopicPartition, int] = {}

    def __bool__(self) -> bool:
        return bool(self._after)

    def parts(self) -> list[TopicPartition]:
        """Return the partitions of which something waits."""
        return list(self._after)

    def add(self, part: TopicPartition, records: list[Any], after: int) -> None:
        """Put messages behind those that wait already; the partition is read on at `after`."""
        if not self._after:
            self.first_at = monotonic()
        self._records.setdefault(part, []).extend(records)
        self._after[part] = after
        self._count(records, 1)

    def after(self, part: TopicPartition) -> int | None:
        """Return where the partition is read on after what waits."""
        return self._after.get(part)

    def take(self, part: TopicPartition) -> tuple[list[Any], int]:
        """Take a partition's messages out; returns them and where it is read on."""
        records, after = self._records.pop(part), self._after.pop(part)
        self._count(records, -1)
        return records, after

    def drop(self, part: TopicPartition) -> None:
        """Forget a partition's messages."""
        if part in self._after:
            self.take(part)

    def _count(self, records: list[Any], sign: int) -> None:
        self.rows += sign * len(records)
        self.bytes += sign * sum(max(0, record.serialized_value_size or 0) for record in records)
