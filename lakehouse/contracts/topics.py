"""The Kafka topics: the one list that broker, producer, consumer and compose file agree on.

Messages are deleted by age, never compacted: of a compacted topic keyed by tenant alone one event
per tenant would survive, and of one keyed by item the catalogue's history would be gone.
"""

from dataclasses import dataclass, replace
from typing import Final

from lakehouse.contracts.kinds import DataType

GROUP: Final = "data-pipeline-consumer"
"""The consumer group of the ingestion."""
MAPPING_HEADER: Final = "eta-mapping"
"""A message's header that names the tenant's source mapping to read it with."""
STREAM_MAPPING: Final = "kafka"
"""The tenant's source mapping for messages, where it has one; else the contract's own names."""
KEY_SEPARATOR: Final = ":"
"""Between the tenant and the item in a key; no tenant id holds it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the raw table that its messages end in; see `TopicOptions`."""

    name: str
    data_type: DataType
    partitions: int
    retention_ms: int

    @property
    def config(self) -> dict[str, str]:
        """Settings of the topic, as Kafka names them."""
        return {"retention.ms": str(self.retention_ms), "cleanup.policy": "delete"}


TOPICS: Final = tuple(
    Topic(options.name, kind, options.partitions, options.retention_ms)
    for kind in DataType
    for options in [kind.definition.topic]
)


def topics(prefix: str = "") -> tuple[Topic, ...]:
    """Return the topics under names with a prefix, for several lakes on one cluster."""
    return tuple(replace(topic, name=prefix + topic.name) for topic in TOPICS)


def topic_of(data_type: DataType, prefix: str = "") -> Topic:
    """Return the topic of a data type."""
    return next(topic for topic in topics(prefix) if topic.data_type is data_type)


def message_key(data_type: DataType, tenant_id: str, item_id: str | None = None) -> bytes:
    """Return the key of a message: the tenant, for states of an item the tenant and the item.

    So one tenant's events, and one item's states, stay in their order.
    """
    if data_type.definition.is_state and item_id is not None:
        return f"{tenant_id}{KEY_SEPARATOR}{item_id}".encode()
    return tenant_id.encode()
