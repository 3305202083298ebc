"""Builds the consumer out of its settings: the one place that knows every part."""

import re
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final

from ingest_service.clock import RisingClock
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.readers.avro import AvroReader
from ingest_service.readers.messages import MessageReader
from ingest_service.readers.registries import ConfluentRegistry, GlueRegistry
from ingest_service.settings import ServiceSettings, StreamSettings
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.consumer import StreamConsumer
from ingest_service.sources.kafka.consumer_parts import ConsumerParts
from ingest_service.sources.kafka.halts import Halts
from ingest_service.sources.kafka.intake import Intake
from ingest_service.sources.kafka.metrics import StreamMetrics
from ingest_service.sources.kafka.rejects import RejectLimit, RejectWatch
from ingest_service.sources.kafka.sink import StreamSink
from ingest_service.sources.kafka.status import Status
from ingest_service.sources.kafka.wait import Backoff
from ingest_service.sources.kafka.worker import Worker, WorkerParts
from lakehouse.contracts.tenant import TENANT_ID_PATTERN, TenantSettings
from lakehouse.contracts.topics import topics
from lakehouse.control.database import ControlDatabase
from lakehouse.control.tenants import TenantNotFound
from lakehouse.dev.addresses import broker_address, registry_address
from lakehouse.errors import EtaError
from lakehouse.lineage.batches import tell_messages
from lakehouse.lineage.delivery import open_lineage
from lakehouse.privacy.suppression import StoredSuppressionList
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

SETTINGS_SECONDS: Final = 5.0
"""How long a tenant's settings may be used before they are read again."""
STATUS_FOLDER: Final = "stream"


def build_consumer(
    lake: LakeSettings,
    service: ServiceSettings,
    settings: StreamSettings,
    stop: Event,
    reread: frozenset[str] = frozenset(),
) -> tuple[StreamConsumer, StreamMetrics, Status]:
    """Open the lake and the control database; Kafka is first asked by `run`."""
    read = {topic.name: topic.data_type for topic in topics(settings.topic_prefix)}
    unknown = reread - set(read)
    if unknown:
        raise EtaError(
            f"these are no topics of the project: {', '.join(sorted(unknown))}",
            remedy=f"use {', '.join(read)}",
        )
    metrics = StreamMetrics()
    status = Status(lake.home_dir / STATUS_FOLDER, metrics.state.state)
    ensure_tables(Lake(lake))
    delta = DeltaSink(Lake(lake))
    lineage = open_lineage(lake, on_outcome=lambda outcome: metrics.lineage.labels(outcome).inc())

    def bootstrap() -> str:
        return settings.bootstrap_servers or broker_address(lake)

    sink = StreamSink(delta, tell_messages(lineage, Lake(lake), bootstrap))
    control = ControlDatabase.open(lake.control_url)
    tenants = TenantCache(control)
    registry = settings.registry_url or registry_address(lake)
    avro = AvroReader(
        ConfluentRegistry(registry) if registry else None,
        GlueRegistry(settings.glue_registry) if settings.glue_registry else None,
    )
    intake = Intake(
        MessageReader(avro, tenants.settings, settings.max_message_bytes),
        tenants,
        DedupeWindows(service.dedupe_rows, service.dedupe_total_rows, lake.spool_dir),
        DeltaHistory(delta),
        StoredSuppressionList(control),
        RisingClock(),
    )

    limit = RejectLimit(settings.reject_share, settings.reject_window)
    rejects = RejectWatch(limit, metrics, status)

    def backoff() -> Backoff:
        return Backoff(settings.backoff_seconds, settings.backoff_most_seconds, stop)

    def new_worker() -> Worker:
        return Worker(WorkerParts(intake, sink, metrics, status, rejects, backoff(), stop))

    parts = ConsumerParts(
        bootstrap=bootstrap,
        topics=read,
        settings=settings,
        sink=sink,
        metrics=metrics,
        status=status,
        halts=Halts(metrics, status, settings.halted_retry_seconds),
        backoff=backoff(),
        stop=stop,
        new_worker=new_worker,
        on_end=lineage.close,
    )
    return StreamConsumer(parts, reread), metrics, status


class TenantCache:
    """Tenants' settings, read again every few seconds but not within a micro-batch."""

    def __init__(self, control: ControlDatabase, clock: Callable[[], float] = monotonic) -> None:
        self._control = control
        self._clock = clock
        self._known: dict[str, TenantSettings | None] = {}
        self._read_at = clock()

    def begin(self) -> None:
        """Begin a micro-batch: what was read too long ago is forgotten."""
        if self._clock() - self._read_at > SETTINGS_SECONDS:
            self._known = {}
            self._read_at = self._clock()

    def settings(self, tenant_id: str) -> TenantSettings | None:
        """Return a tenant's settings, None when there is no such tenant."""
        if tenant_id not in self._known:
            self._known[tenant_id] = self._read(tenant_id)
        return self._known[tenant_id]

    def _read(self, tenant_id: str) -> TenantSettings | None:
        if re.fullmatch(TENANT_ID_PATTERN, tenant_id) is None:
            return None
        try:
            return self._control.tenant_settings(tenant_id)
        except TenantNotFound:
            return None
