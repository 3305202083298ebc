"""What the endpoints work with, built once in the entry point and passed in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from fastapi import Request

from ingest_service.api.pace import Stopping
from ingest_service.api.small_body import BodyReader
from ingest_service.metrics import ServiceMetrics
from ingest_service.quality import QualityDesk
from ingest_service.readiness import NotReady
from ingest_service.rejects import RejectDesk
from ingest_service.settings import ServiceSettings
from ingest_service.sources.events.quotas import QuotaKeeper
from ingest_service.sources.events.writer import EventWriter
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.uploads.quotas import UploadQuotas
from ingest_service.sources.uploads.spool import Spool
from ingest_service.sources.webhooks.inbox import Inbox
from ingest_service.stored import StoredLookup
from lakehouse.control.database import ControlDatabase
from lakehouse.storage.ledger import LedgerBatch
from lakehouse.storage.row_issues import RowIssueStore
from lakehouse.training.card.blocks import Card
from lakehouse.training.snapshots import SnapshotKind


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service.

    `not_ready` returns why the process cannot commit, nothing when it can. `batches` returns a page
    of a tenant's ledger: tenant, limit, cursor. `export` opens what is held of a user and returns
    it as a zip: tenant, user. `lookup` says which people have rows. `card` returns the card that is
    kept of a snapshot, None without one: tenant, kind, snapshot.
    """

    settings: ServiceSettings
    control: ControlDatabase
    ingest: IngestService
    spool: Spool
    metrics: ServiceMetrics
    new_batch_id: Callable[[], str]
    not_ready: Callable[[], Sequence[NotReady]]
    start: Callable[[], None]
    stop: Callable[[], None]
    row_issues: RowIssueStore
    batches: Callable[[str, int, str | None], list[LedgerBatch]]
    export: Callable[[str, str], Iterator[bytes]]
    lookup: StoredLookup
    card: Callable[[str, SnapshotKind, str], Card | None]
    writer: EventWriter
    quotas: QuotaKeeper
    bodies: BodyReader
    inbox: Inbox
    quality: QualityDesk
    rejects: RejectDesk
    stopping: Stopping
    uploads: UploadQuotas


async def services_of(request: Request) -> Services:
    """Return the services of the app a request came to."""
    return cast("Services", request.app.state.services)
