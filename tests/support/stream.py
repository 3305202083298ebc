"""A lake, topics of its own and consumers in threads, for tests against the real broker."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any

import polars as pl
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from ingest_service.settings import ServiceSettings, StreamSettings
from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.status import Status
from ingest_service.sources.kafka.wiring import build_consumer
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_QUARANTINE, RAW_TABLES, TableSpec
from lakehouse.contracts.tenant import DataType
from lakehouse.contracts.topics import GROUP, topic_of, topics
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.kafka import ensure_topics
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import LedgerCheck, check_ledger
from lakehouse.storage.tables import ensure_tables

WAIT_SECONDS = 30.0
T0 = 1_700_000_000_000


@dataclass
class Running:
    """A consumer in a thread."""

    thread: Thread
    stop: Event
    metrics: StreamMetrics
    status: Status
    errors: list[BaseException] = field(default_factory=list)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(WAIT_SECONDS)
        assert not self.thread.is_alive()

    def alarm(self) -> Mapping[str, str]:
        """Wait until a partition stands still; return what is said of it, and end."""
        wait_for(lambda: self.status.halts, "an alarm")
        found = self.status.halts[0]
        self.end()
        assert self.errors == []
        return found


@dataclass
class Lane:
    """Topics under a prefix of their own, and the lake that they end in."""

    bootstrap: str
    home: Path
    registry: str | None = None
    tenants: tuple[str, ...] = ("acme", "other")
    prefix: str = field(default_factory=lambda: f"t{token_hex(4)}-")
    _looking: KafkaConsumer | None = None

    def __post_init__(self) -> None:
        self.lake = LakeSettings(home=self.home)
        ensure_tables(Lake(self.lake))
        control = ControlDatabase.open(self.lake.control_url)
        for tenant in self.tenants:
            control.tenants.add(tenant)
        control.close()
        ensure_topics(self.bootstrap, topics(self.prefix))
        self.producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, max_request_size=64 * 1024 * 1024, linger_ms=5
        )

    def topic(self, kind: DataType = DataType.INTERACTIONS) -> str:
        return topic_of(kind, self.prefix).name

    def send(
        self,
        *values: bytes | None,
        key: bytes | None = b"acme",
        kind: DataType = DataType.INTERACTIONS,
    ) -> None:
        for value in values:
            self.producer.send(self.topic(kind), value, key)
        self.producer.flush()

    def settings(self, **more: Any) -> StreamSettings:
        return StreamSettings(
            **{
                "bootstrap_servers": self.bootstrap,
                "registry_url": self.registry,
                "topic_prefix": self.prefix,
                "batch_seconds": 0.1,
                "session_timeout_ms": 2_000,
                "backoff_seconds": 0.1,
                "backoff_most_seconds": 0.5,
                **more,
            }
        )

    def start(self, reread: frozenset[str] = frozenset(), **more: Any) -> Running:
        stop = Event()
        consumer, metrics, status = build_consumer(
            self.lake, ServiceSettings(), self.settings(**more), stop, reread
        )
        running = Running(Thread(), stop, metrics, status)

        def run() -> None:
            try:
                consumer.run()
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                running.errors.append(error)

        running.thread = Thread(target=run, daemon=True)
        running.thread.start()
        return running

    @contextmanager
    def consuming(self, **more: Any) -> Iterator[Running]:
        running = self.start(**more)
        try:
            yield running
        finally:
            running.end()
        assert running.errors == []

    def rows(self, spec: TableSpec) -> pl.DataFrame:
        return pl.DataFrame(Lake(self.lake).table(spec).to_pyarrow_table())

    def raw(self, kind: DataType = DataType.INTERACTIONS) -> pl.DataFrame:
        return self.rows(RAW_TABLES[kind])

    def quarantine(self) -> pl.DataFrame:
        return self.rows(RAW_QUARANTINE)

    def rows_of_ledger(self) -> pl.DataFrame:
        return self.rows(OPS_INGEST_LEDGER)

    def received(self) -> int:
        return int(self.rows_of_ledger()["received"].sum())

    def wait_received(self, count: int) -> None:
        wait_for(lambda: self.received() >= count, f"{count} messages in the ledger")

    def check(self) -> LedgerCheck:
        return check_ledger(Lake(self.lake))

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield admin
        finally:
            admin.close()

    def committed(self, kind: DataType = DataType.INTERACTIONS) -> int:
        """The sum of Kafka's own offsets of the group, for lag tools."""
        # one for all looks: making one takes most of a second of this process, whose consumer would
        # miss its heartbeats
        if self._looking is None:
            self._looking = KafkaConsumer(
                bootstrap_servers=self.bootstrap,
                group_id=self.prefix + GROUP,
                enable_auto_commit=False,
            )
        parts = [TopicPartition(self.topic(kind), n) for n in range(6)]
        found = [self._looking.committed(part) for part in parts if _exists(self._looking, part)]
        return sum(offset or 0 for offset in found)

    def close(self) -> None:
        self.producer.close()
        if self._looking is not None:
            self._looking.close(autocommit=False)
        with suppress(Exception), self.admin() as admin:
            admin.delete_topics([topic.name for topic in topics(self.prefix)])


def _exists(consumer: KafkaConsumer, part: TopicPartition) -> bool:
    return part.partition in (consumer.partitions_for_topic(part.topic) or ())


def event(number: int, **more: Any) -> bytes:
    """An interaction as JSON."""
    row = {
        "tenant_id": "acme",
        "user_id": f"u{number % 7}",
        "item_id": f"i{number % 5}",
        "interaction_type": "view",
        "timestamp": T0 + number,
        "event_id": f"e{number}",
        **more,
    }
    return json.dumps({name: value for name, value in row.items() if value is not None}).encode()


def wait_for(is_true: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
