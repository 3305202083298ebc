"""What the consumer's loop works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from kafka import TopicPartition

from ingest_service.settings import StreamSettings
from ingest_service.sources.kafka.halts import Halts
from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.sink import StreamSink
from ingest_service.sources.kafka.status import Status
from ingest_service.sources.kafka.wait import Backoff
from ingest_service.sources.kafka.worker import Worker
from lakehouse.contracts.tenant import DataType


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """What the loop works with; `topics` are read into these data types.

    `on_end` is called when the loop has ended.
    """

    bootstrap: Callable[[], str]
    topics: dict[str, DataType]
    settings: StreamSettings
    sink: StreamSink
    metrics: StreamMetrics
    status: Status
    halts: Halts
    backoff: Backoff
    stop: Event
    new_worker: Callable[[], Worker]
    on_end: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Reread:
    """Topics to be read from their beginning, and the partitions that were begun."""

    topics: frozenset[str]
    begun: set[TopicPartition] = field(default_factory=set)
