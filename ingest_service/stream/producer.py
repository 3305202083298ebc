"""The library that writes events to the topics: keyed, idempotent, batched, errors reported.

with InteractionProducer("127.0.0.1:9092") as producer:
    producer.send("acme", {"user_id": "u1", "item_id": "i1", "interaction_type": "view",
                           "timestamp": 1764000000000})
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from ingest_service.stream.encoding import JsonEncoder, MessageEncoder
from lakehouse.contracts.tenant import DataType, check_tenant_id
from lakehouse.contracts.topics import message_key, topics
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

LINGER_MS: Final = 5
BATCH_BYTES: Final = 64 * 1024
FLUSH_SECONDS: Final = 130
"""A little longer than the time after which Kafka's client gives a message up."""
DELIVERY_MS: Final = 120_000
MAX_MESSAGE_BYTES: Final = 1024 * 1024


class DeliveryError(EtaError):
    """A message is not in the topic, as far as is known."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a message stands; all replicas in sync have it."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Messages of a producer so far; sent = delivered + failed + those on their way."""

    sent: int
    delivered: int
    failed: int


class InteractionProducer:
    """Sends events of any tenant; one object serves every thread of a process.

    The key of a message is its tenant, of a catalogue row its tenant and item, so each keeps its
    order. A retry inside the producer does not write a message twice (idempotent, `acks=all`).
    A message that is sent again by the caller is a second one; the lake stores an event once.
    After a refusal by the broker (`DeliveryError`) kafka-python sends nothing more: make a new one.
    `encoder` decides on JSON (default) or Avro. `on_error` is told each failed delivery, from a
    thread of the producer. `options` go to `kafka.KafkaProducer` (TLS, SASL, `compression_type`).
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        encoder: MessageEncoder | None = None,
        on_error: Callable[[DeliveryError], None] | None = None,
        topic_prefix: str = "",
        **options: Any,
    ) -> None:
        settings: dict[str, Any] = {
            "linger_ms": LINGER_MS,
            "batch_size": BATCH_BYTES,
            "delivery_timeout_ms": DELIVERY_MS,
            "max_request_size": MAX_MESSAGE_BYTES,
            "allow_auto_create_topics": False,
            **options,
            "enable_idempotence": True,
            "acks": "all",
        }
        try:
            self._producer = KafkaProducer(bootstrap_servers=bootstrap_servers, **settings)
        except KafkaTimeoutError:
            raise EtaError(
                f"no Kafka broker answers at {bootstrap_servers}",
                remedy="start one with `eta dev kafka up`, or give the address of yours",
            ) from None
        self._encoder = encoder or JsonEncoder()
        self._topics = {topic.data_type: topic.name for topic in topics(topic_prefix)}
        self._on_error = on_error
        self._lock = Lock()
        self._sent = self._delivered = self._failed = 0
        self._first_error: DeliveryError | None = None

    def send(
        self,
        tenant_id: str,
        event: Mapping[str, Any],
        data_type: DataType = DataType.INTERACTIONS,
        *,
        timestamp_ms: int | None = None,
    ) -> "Future[Delivered]":
        """Put an event on its way; return at once, unless the producer's memory is full.

        The future has the message's place once all replicas in sync have it, or raises
        `DeliveryError`; `asyncio.wrap_future` makes it awaitable. `timestamp_ms` is when the event
        was produced, default now. Raises `EtaError` for a tenant id that is none, an event that
        cannot be encoded, and when the topic is unknown or no broker answered for a minute.
        """
        key = message_key(data_type, check_tenant_id(tenant_id), _item_of(data_type, event))
        value = self._encoder.encode(tenant_id, data_type, event)
        return self.send_bytes(data_type, key, value, timestamp_ms=timestamp_ms)

    def send_bytes(
        self,
        data_type: DataType,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> "Future[Delivered]":
        """Send a message that is encoded already; see `send`."""
        topic = self._topics[data_type]
        delivery: Future[Delivered] = Future()
        try:
            sent = self._producer.send(
                topic, value, key, timestamp_ms=timestamp_ms, headers=headers
            )
        except KafkaError as error:
            raise _not_delivered(topic, error) from error
        with self._lock:
            self._sent += 1
        sent.add_callback(self._on_delivered, delivery)
        sent.add_errback(self._on_failed, delivery, topic)
        return delivery

    @property
    def counts(self) -> DeliveryCounts:
        """What became of the messages so far."""
        with self._lock:
            return DeliveryCounts(self._sent, self._delivered, self._failed)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until every message has been delivered or has failed.

        Raises the first `DeliveryError` since the last flush, so that none passes unseen, and
        `DeliveryError` when some are still on their way after `seconds`.
        """
        try:
            self._producer.flush(timeout=seconds)
        except KafkaTimeoutError as error:
            raise _not_delivered("the topics", error) from error
        with self._lock:
            error_, self._first_error = self._first_error, None
        if error_ is not None:
            raise error_

    def close(self) -> None:
        """Deliver what is on its way (`flush`), then end."""
        try:
            self.flush()
        finally:
            self._producer.close(timeout=FLUSH_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._producer.close(timeout=0)

    def _on_delivered(self, delivery: "Future[Delivered]", placed: Any) -> None:
        with self._lock:
            self._delivered += 1
        delivery.set_result(Delivered(placed.topic, placed.partition, placed.offset))

    def _on_failed(self, delivery: "Future[Delivered]", topic: str, cause: Exception) -> None:
        error = _not_delivered(topic, cause)
        with self._lock:
            self._failed += 1
            self._first_error = self._first_error or error
        delivery.set_exception(error)
        if self._on_error is not None:
            self._on_error(error)


def _item_of(data_type: DataType, event: Mapping[str, Any]) -> str | None:
    item_id = event.get(data_type.definition.state_of or "")
    return item_id if isinstance(item_id, str) else None


def _not_delivered(topic: str, cause: Exception) -> DeliveryError:
    if isinstance(cause, MessageSizeTooLargeError):
        return DeliveryError(
            f"a message is larger than {topic} takes",
            remedy="send one event per message; the topic's limit is `max.message.bytes`",
        )
    return DeliveryError(
        f"a message was not delivered to {topic}: {type(cause).__name__}",
        remedy="send it again: an event that arrives twice is stored once",
    )
