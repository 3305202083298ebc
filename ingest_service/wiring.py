"""Builds a running service out of its settings: the one place that knows every part."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from ingest_service.api.budgets import Room
from ingest_service.api.pace import Stopping
from ingest_service.api.services import Services
from ingest_service.api.small_body import BodyReader, Rooms
from ingest_service.clock import RisingClock
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.housekeeping import Housekeeper, Task
from ingest_service.metrics import ServiceMetrics
from ingest_service.quality import QualityDesk
from ingest_service.readers.events.parsing import EventLimits
from ingest_service.readers.quarantined import EditedRows
from ingest_service.readiness import Readiness
from ingest_service.rejects import RejectDesk
from ingest_service.settings import ServiceSettings, StreamSettings
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.recovery import recover
from ingest_service.sources.events.group_commit import GroupCommitWriter, GroupLimits
from ingest_service.sources.events.quotas import QuotaKeeper
from ingest_service.sources.events.writer import EventWriter
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.replay import ReplayedBatch, Replayer
from ingest_service.sources.uploads.quotas import UploadQuotas
from ingest_service.sources.uploads.spool import Spool
from ingest_service.sources.webhooks.inbox import Inbox
from ingest_service.stored import StoredLookup
from lakehouse.control.database import ANSWER_KIND, ControlDatabase
from lakehouse.dev.addresses import broker_address
from lakehouse.lineage.batches import tell_batches
from lakehouse.lineage.delivery import open_lineage
from lakehouse.privacy.export import open_export
from lakehouse.privacy.known import stored_identifiers
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.suppression import StoredSuppressionList
from lakehouse.quality.history import Reader
from lakehouse.settings import LakeSettings
from lakehouse.storage.acknowledged import KEPT, drop_old
from lakehouse.storage.join_rate import read_join_rate
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import batches
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.maintenance import merge_ended_days
from lakehouse.storage.row_issues import RowIssueStore
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.card.kept import kept_card
from lakehouse.training.snapshots import KINDS

if TYPE_CHECKING:
    from ingest_service.stream.producer import InteractionProducer

LEDGER_WATCH: Final = timedelta(days=2)
"""How far back the running service looks at the ledger. At its start, and while something is lost,
it looks at all that may be known to be lost; `eta ledger check` looks at everything."""
MERGE_EVERY: Final = timedelta(hours=1)
ERASURES_EVERY: Final = timedelta(minutes=5)
DROP_EVERY: Final = timedelta(hours=6)
ENDINGS_EVERY: Final = timedelta(minutes=1)
_SESSION: Final = re.compile(r"-(s[0-9a-f]{12})-")

_log = logging.getLogger(__name__)


def build_services(lake: LakeSettings, settings: ServiceSettings) -> Services:
    """Open the control database and return the parts; the lake is touched at `start` only."""
    control = ControlDatabase.open(lake.control_url)
    control.keys.note_by(ThreadPoolExecutor(1, thread_name_prefix="last-used").submit)
    metrics = ServiceMetrics()
    lineage = open_lineage(lake, on_outcome=lambda outcome: metrics.lineage.labels(outcome).inc())
    sink = DeltaSink(Lake(lake), tell_batches(lineage, Lake(lake)))
    spool = Spool(lake.spool_dir, settings.spool_bytes_per_tenant)
    row_issues = RowIssueStore(Lake(lake))
    windows = DedupeWindows(settings.dedupe_rows, settings.dedupe_total_rows, lake.spool_dir)
    suppression = StoredSuppressionList(control)
    clock = RisingClock(_now)
    ingest = IngestService(
        sink,
        DeltaHistory(sink),
        windows,
        suppression,
        clock,
        settings.chunk_bytes,
        row_issues,
    )
    readiness = Readiness(lake, sink, control.ping)
    tasks = [
        _ledger_task(lake, settings, metrics, readiness),
        _row_issues_task(settings, row_issues),
        _erasures_task(control, metrics),
        Task("merging ended days", MERGE_EVERY, lambda: _merge(lake)),
        Task("dropping old answers", DROP_EVERY, lambda: _forget(control)),
        Task("dropping old acknowledgements", DROP_EVERY, lambda: _drop_acknowledged(lake)),
        Task("recording ends of jobs", ENDINGS_EVERY, control.queue.write_endings),
        Task("counting kept answers", ERASURES_EVERY, lambda: _count_answers(control, metrics)),
        Task("emptying the log", ERASURES_EVERY, lambda: _empty_log(control)),
    ]
    session_id = control.sessions.begin()
    writer: EventWriter = GroupCommitWriter(
        ingest,
        control.tenant_settings,
        lambda: new_batch_id(session_id),
        _group_limits(settings),
        metrics.observe,
    )
    if settings.events_through == "kafka":
        from ingest_service.sources.events.queue_writer import QueueWriter

        writer = QueueWriter(lambda: _producer(lake), writer, control.tenant_settings)
    keeper = Housekeeper(tasks)
    quality = _quality_desk(lake, control)

    leases = ExitStack()

    def start() -> None:
        _start(lake, settings, control, sink, spool, readiness)
        leases.enter_context(control.jobs.kept())
        keeper.start()

    def stop() -> None:
        keeper.stop()
        leases.close()
        quality.close()
        sink.close()
        lineage.close()

    return Services(
        settings=settings,
        control=control,
        ingest=ingest,
        spool=spool,
        metrics=metrics,
        row_issues=row_issues,
        new_batch_id=new_batch_id,
        writer=writer,
        inbox=Inbox(
            control,
            writer,
            session_id,
            EventLimits(settings.max_batch_events, settings.max_webhook_bytes),
        ),
        quotas=QuotaKeeper(control.usage),
        uploads=UploadQuotas(control.upload_usage),
        quality=quality,
        rejects=_reject_desk(control, sink, windows, suppression, clock),
        bodies=BodyReader(_rooms(settings), settings.body_seconds),
        stopping=Stopping(settings.shutdown_seconds),
        not_ready=readiness.problems,
        start=start,
        stop=stop,
        batches=lambda tenant_id, limit, after: sink.reading(
            lambda: batches(sink.table, tenant_id, limit=limit, after=after)
        ),
        export=lambda tenant_id, user_id: open_export(lake, tenant_id, user_id).chunks(),
        card=lambda tenant_id, kind, snapshot: kept_card(
            Lake(lake), KINDS[kind].find(Lake(lake), tenant_id, snapshot)
        ),
        lookup=StoredLookup(
            lambda tenant_id, wanted: stored_identifiers(
                Lake(lake), tenant_id, wanted, MappingHistory.read(control, tenant_id)
            )
        ),
    )


def _rooms(settings: ServiceSettings) -> Rooms:
    bodies = settings.max_connections // 4
    known, unknown = settings.event_memory_bytes, settings.unverified_memory_bytes
    return Rooms(
        Room(known // 2, known, bodies, settings.max_connections // 2),
        Room(unknown // 2, unknown, bodies // 4, bodies),
    )


def replay(
    lake: LakeSettings,
    settings: ServiceSettings,
    tenant_id: str,
    batch_id: str | None,
    mapping: str | None,
    edited: EditedRows | None,
) -> list[ReplayedBatch]:
    """Replay quarantined rows in this process, each batch as a job."""
    lineage = open_lineage(lake)
    control = ControlDatabase.open(lake.control_url)
    ensure_tables(Lake(lake))
    sink = DeltaSink(Lake(lake), tell_batches(lineage, Lake(lake)))
    windows = DedupeWindows(settings.dedupe_rows, settings.dedupe_total_rows, lake.spool_dir)
    suppression = StoredSuppressionList(control)
    try:
        with control.jobs.kept():
            desk = _reject_desk(control, sink, windows, suppression, RisingClock(_now))
            return desk.replay(tenant_id, batch_id, mapping, edited)
    finally:
        control.close()
        lineage.close()


def _reject_desk(
    control: ControlDatabase,
    sink: DeltaSink,
    windows: DedupeWindows,
    suppression: StoredSuppressionList,
    clock: RisingClock,
) -> RejectDesk:
    replayer = Replayer(sink, sink.table, DeltaHistory(sink), windows, suppression, clock)
    return RejectDesk(control, sink, replayer)


def new_batch_id(session_id: str | None = None) -> str:
    """Return an id that sorts by time and that nobody can guess; it may name a session."""
    session = f"{session_id}-" if session_id else ""
    return f"{_now():%Y%m%dT%H%M%S%f}-{session}{token_hex(6)}"


def _now() -> datetime:
    return datetime.now(UTC)


def _start(
    lake: LakeSettings,
    settings: ServiceSettings,
    control: ControlDatabase,
    sink: DeltaSink,
    spool: Spool,
    readiness: Readiness,
) -> None:
    """Make the tables, and clear away what killed processes left.

    What is damaged or lost is logged and makes the process not ready; it starts all the same, for
    the sake of the tenants and tables that are whole.
    """
    ensure_tables(Lake(lake))
    spooled = spool.clean(control.queue.needs)
    control.queue.forget_keys()
    jobs = control.jobs.recover()

    def has_ended(tenant_id: str, batch_id: str) -> bool:
        session = _SESSION.search(batch_id)
        if session is not None:
            return control.sessions.is_over(session[1])
        known = {
            job.batch_id: job.state
            for job in control.jobs.list(tenant_id, limit=1_000, besides=ANSWER_KIND)
        }
        return known.get(batch_id) in ("failed", "refused")

    done = recover(sink, settings.recovery_grace, has_ended)
    for damage in done.damage:
        _log.error("damaged: %s; `eta ledger check` says what to do", damage)
    for batch_id in done.lost:
        _log.error("batch %s was acknowledged and is not in raw: see `eta ledger check`", batch_id)
    if done.lost or done.damage:  # else the check of the ledger, which comes next, finds out
        readiness.observe_lost(True)
    if spooled or jobs or done.removed:
        counts = (spooled, jobs, done.removed)
        _log.info("cleared up: %d spooled files, %d jobs, %d unfinished batches", *counts)


def _producer(lake: LakeSettings) -> "InteractionProducer":
    from ingest_service.stream.producer import InteractionProducer

    stream = StreamSettings()
    return InteractionProducer(
        stream.bootstrap_servers or broker_address(lake),
        topic_prefix=stream.topic_prefix,
        **stream.client_options,
    )


def _forget(control: ControlDatabase) -> None:
    control.queue.forget_keys()
    control.messages.drop_old()


def _count_answers(control: ControlDatabase, metrics: ServiceMetrics) -> None:
    metrics.observe_answers(*control.queue.answer_totals())


def _group_limits(settings: ServiceSettings) -> GroupLimits:
    return GroupLimits(
        wait=settings.event_wait,
        tenant_bytes=settings.event_memory_bytes // 2,
        total_bytes=settings.event_memory_bytes,
        longest_wait=settings.event_longest_wait,
        parallel=settings.parallel_commits,
    )


def _merge(lake: LakeSettings) -> None:
    merged = merge_ended_days(Lake(lake), _now().date())
    if merged:
        _log.info("merged the files of %d ended days", len(merged))


def _quality_desk(lake: LakeSettings, control: ControlDatabase) -> QualityDesk:
    def reader(days: int) -> Reader:
        return Reader(Lake(lake), control, days)

    return QualityDesk(
        lambda tenant_id, days: reader(days).report(tenant_id).model_dump_json().encode(),
        lambda tenant_id, days: reader(days).overview(tenant_id).model_dump_json().encode(),
    )


def _empty_log(control: ControlDatabase) -> None:
    """A webhook's message is deleted when it is stored; of an erased person nothing may stay."""
    control.connections.empty_log()


def _drop_acknowledged(lake: LakeSettings) -> None:
    drop_old(Lake(lake), _now())


def _ledger_task(
    lake: LakeSettings, settings: ServiceSettings, metrics: ServiceMetrics, readiness: Readiness
) -> Task:
    looks_far = True

    def check() -> None:
        nonlocal looks_far
        moment = _now()
        since = moment - (KEPT if looks_far else LEDGER_WATCH)
        found = check_ledger(Lake(lake), since=since.date())
        looks_far = bool(found.lost or found.damage)
        metrics.observe_ledger(found, moment)
        readiness.observe_lost(looks_far)
        for wrong in found.wrong:
            _log.error("batch %s of %s: %s", wrong.batch_id, wrong.tenant_id, wrong.problem)
        for damage in found.damage:
            _log.error("damaged: %s; what to do: %s", damage, damage.remedy)
        metrics.observe_join_rate(read_join_rate(Lake(lake)))

    return Task("the ledger's check", settings.ledger_check_every, check)


def _erasures_task(control: ControlDatabase, metrics: ServiceMetrics) -> Task:
    def look() -> None:
        metrics.observe_erasures(control.erasures.newest(limit=10_000, is_open=True), _now())

    return Task("looking for open erasures", ERASURES_EVERY, look)


def _row_issues_task(settings: ServiceSettings, row_issues: RowIssueStore) -> Task:
    def drop() -> None:
        row_issues.drop_older(timedelta(days=settings.row_issues_days))

    return Task("dropping old row issues", DROP_EVERY, drop)
