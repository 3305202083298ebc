"""A stream's consumer over topics in memory, of which any step can be made to fail."""

from collections.abc import Iterable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import polars as pl
import pytest
from kafka import TopicPartition

from ingest_service.readers.messages import MessageReader
from ingest_service.settings import ServiceSettings, StreamSettings
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka import session
from ingest_service.sources.kafka.intake import Intake, Prepared
from ingest_service.sources.kafka.metrics import LatencyHistogram
from ingest_service.sources.kafka.sink import StreamSink
from ingest_service.sources.kafka.status import Status
from ingest_service.sources.kafka.wiring import TenantCache, build_consumer
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.validator import Validator
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.support.fake_kafka import FakeConsumer, Faults, Topics
from tests.support.stream import event, wait_for

TOPIC = "interactions-raw"
ACME, OTHER = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
TENANTS = {ACME: "acme", OTHER: "other"}
RECOVERED = 30.0
"""Seconds; much more than it takes, for a machine that others use as well."""


class Pauses(Event):
    """A stop whose waits are short, and counted as long as they would be."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds += timeout or 0.0
        return super().wait(min(timeout or 0.0, 0.02))


class Loop:
    """A consumer in a thread over topics in memory and a lake on disk."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.lake = LakeSettings(home=home)
        ensure_tables(Lake(self.lake))
        control = ControlDatabase.open(self.lake.control_url)
        for tenant in TENANTS.values():
            control.tenants.add(tenant)
        control.close()
        self.topics, self.faults = Topics(), Faults()
        self.topics.logs = {part: [] for part in TENANTS}
        self._patch(patch)
        self.stop = Pauses()
        self.faults.clock = lambda: self.stop.seconds
        settings = StreamSettings(
            bootstrap_servers="127.0.0.1:1",
            batch_seconds=0.02,
            halted_retry_seconds=0.3,
            reject_window=20,
        )
        consumer, self.metrics, self.status = build_consumer(
            self.lake, ServiceSettings(), settings, self.stop
        )
        self.errors: list[BaseException] = []
        self.thread = Thread(target=self._run, args=(consumer,), daemon=True)

    def _patch(self, patch: pytest.MonkeyPatch) -> None:
        faults = self.faults
        patch.setattr(session, "LOOK_SECONDS", 0.1)
        patch.setattr(session, "POLL_MS", 20)
        patch.setattr(session, "REGISTRY_SECONDS", 0.1)
        patch.setattr(session, "open_consumer", lambda *_: FakeConsumer(self.topics))
        patch.setattr(session, "bounds_of", self.topics.bounds)
        self.missing: set[str] = set()
        patch.setattr(session, "topic_numbers", self._numbers)
        for owner, name, step in STEPS:
            faults.wrap(patch, owner, name, step)

    def _numbers(self, _: str, names: Iterable[str], __: Any) -> dict[str, int]:
        return {name: 1 for name in names if name not in self.missing}

    def _run(self, consumer: Any) -> None:
        try:
            consumer.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.errors.append(error)

    def send(self, part: TopicPartition, **more: Any) -> str:
        number = sum(map(len, self.topics.logs.values()))
        tenant = TENANTS[part]
        self.topics.append(part, event(number, tenant_id=tenant, **more), tenant.encode())
        return f"e{number}"

    def rows(self) -> pl.DataFrame:
        return pl.DataFrame(Lake(self.lake).table(RAW_INTERACTIONS).to_pyarrow_table())

    def quarantine(self) -> pl.DataFrame:
        return pl.DataFrame(Lake(self.lake).table(RAW_QUARANTINE).to_pyarrow_table())

    def wait_stored(self, *names: str) -> None:
        def is_stored() -> bool:
            assert self.errors == []
            return set(names) <= set(self.rows()["event_id"])

        wait_for(is_stored, f"{names} stored, {self.status.state}: {self.status.detail}", RECOVERED)

    def wait_started(self) -> None:
        self.wait_stored_after_start("e0")

    def wait_stored_after_start(self, *names: str) -> None:
        self.thread.start()
        self.wait_stored(*names)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(RECOVERED)
        assert not self.thread.is_alive()
        assert self.errors == []
        rows = self.rows()
        assert rows["event_id"].n_unique() == rows.height
        assert rows["source_ref"].n_unique() == rows.height
        check = check_ledger(Lake(self.lake))
        assert (check.wrong, check.unfinished) == ((), 0)
        assert check.received == sum(map(len, self.topics.logs.values()))


STEPS: list[tuple[Any, str, str]] = [
    (session, "topic_numbers", "1 topics"),
    (session, "open_consumer", "2 open"),
    (session, "bounds_of", "3 bounds"),
    (StreamSink, "take_over", "4 take over"),
    (FakeConsumer, "seek", "5 seek"),
    (FakeConsumer, "poll", "6 poll"),
    (FakeConsumer, "position", "7 position"),
    (TenantCache, "settings", "8 settings"),
    (MessageReader, "read", "9 decode"),
    (Validator, "validate", "10 validate"),
    (Intake, "prepare", "11 prepare"),
    (StreamSink, "_stage", "12 stage"),
    (DeltaSink, "commit_checked", "13 commit"),
    (StreamSink, "store", "14 store"),
    (Prepared, "publish", "15 publish"),
    (LatencyHistogram, "observe", "16 latency"),
    (StreamSink, "compact", "17 compact"),
    (FakeConsumer, "commit_async", "18 offsets for Kafka"),
    (FakeConsumer, "end_offsets", "19 lag"),
    (Status, "show", "20 status"),
    (Status, "set", "21 state"),
]
