"""What the consumer asks Kafka: its client, what partitions hold, which topic it is."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from ingest_service.settings import StreamSettings
from ingest_service.sources.kafka.sink import Bounds
from lakehouse.contracts.topics import GROUP

ASK_MS: Final = 5_000
BOOTSTRAP_MS: Final = 5_000
FETCH_BYTES: Final = 4 * 1024 * 1024
METADATA_MS: Final = 10_000
"""How soon new partitions are noticed."""
_NUMBER_BITS: Final = 62


def open_consumer(bootstrap: str, settings: StreamSettings) -> KafkaConsumer:
    """Return a client of the group; Kafka's own offsets decide nothing."""
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=settings.topic_prefix + GROUP,
        enable_auto_commit=False,
        auto_offset_reset="none",  # what is not there is an alarm, never a silent jump
        allow_auto_create_topics=False,
        partition_assignment_strategy=(CooperativeStickyAssignor,),
        max_poll_records=settings.batch_rows,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=FETCH_BYTES,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 4,
        bootstrap_timeout_ms=BOOTSTRAP_MS,
        reconnect_backoff_max_ms=2_000,
        metadata_max_age_ms=METADATA_MS,
        isolation_level=settings.isolation_level,
        **settings.client_options,
    )


def bounds_of(
    consumer: KafkaConsumer, parts: Iterable[TopicPartition], topics: dict[str, int]
) -> dict[TopicPartition, Bounds]:
    """Return what the broker has of each partition; raises Kafka's errors when it is away."""
    wanted = list(parts)
    first = consumer.beginning_offsets(wanted, timeout_ms=ASK_MS)
    end = consumer.end_offsets(wanted, timeout_ms=ASK_MS)
    return {part: Bounds(first[part], end[part], topics[part.topic]) for part in wanted}


def topic_numbers(bootstrap: str, names: Iterable[str], options: dict[str, Any]) -> dict[str, int]:
    """Return a number per topic that another topic of the same name would not have.

    A topic that does not exist is left out.
    """
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap, bootstrap_timeout_ms=BOOTSTRAP_MS, **options
    )
    try:
        found = admin.describe_topics(list(names))
    finally:
        admin.close()
    return {topic["name"]: _number(topic["topic_id"]) for topic in found if not topic["error_code"]}


def _number(topic_id: object) -> int:
    return UUID(str(topic_id)).int & ((1 << _NUMBER_BITS) - 1)
