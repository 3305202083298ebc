"""The control database as the service and the command line see it."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Self

from sqlalchemy import text

from lakehouse.contracts.tenant import SourceMapping, TenantSettings
from lakehouse.control.audit import SYSTEM, AuditEntry, AuditLog
from lakehouse.control.cache import ReadCache
from lakehouse.control.connection import Connections, DatabaseUnreachable, connect
from lakehouse.control.disclosures import Disclosures
from lakehouse.control.erasures import Erasure, ErasureNotFound, Erasures
from lakehouse.control.job_queue import (
    ANSWER_KIND,
    Accepted,
    IdempotencyKey,
    IdempotencyKeyReused,
    JobQueue,
    Work,
)
from lakehouse.control.jobs import Job, JobNotFound, Jobs
from lakehouse.control.key_room import KeyLimits, TooManyKeys
from lakehouse.control.keys import (
    SCOPES,
    ApiKey,
    KeyNotFound,
    KeyRecord,
    Keys,
    NewKey,
    ScopeNotHeld,
    key_hash,
)
from lakehouse.control.run_lock import RunLock, RunLocked
from lakehouse.control.runs import ModelRun, RunNotFound, Runs
from lakehouse.control.schema import HEAD
from lakehouse.control.sessions import Sessions
from lakehouse.control.suppressions import ListedHashes, Suppressions
from lakehouse.control.tenants import Tenant, TenantExists, TenantNotFound, Tenants
from lakehouse.control.upgrade import revision, upgrade
from lakehouse.control.usage import DailyUsage
from lakehouse.control.webhook_messages import (
    KeptMessage,
    Received,
    WebhookMessages,
    conflict_hash,
    message_hash,
)
from lakehouse.control.webhooks import (
    ADAPTERS,
    NewSecret,
    WebhookNotFound,
    WebhookSource,
    WebhookSources,
)
from lakehouse.errors import EtaError

__all__ = [
    "ADAPTERS",
    "ANSWER_KIND",
    "SCOPES",
    "Accepted",
    "ApiKey",
    "AuditEntry",
    "ControlDatabase",
    "DatabaseUnreachable",
    "Erasure",
    "ErasureNotFound",
    "IdempotencyKey",
    "IdempotencyKeyReused",
    "Job",
    "JobNotFound",
    "KeptMessage",
    "KeyLimits",
    "KeyNotFound",
    "KeyRecord",
    "ModelRun",
    "NewKey",
    "NewSecret",
    "Received",
    "RunLocked",
    "RunNotFound",
    "ScopeNotHeld",
    "Tenant",
    "TenantExists",
    "TenantNotFound",
    "TooManyKeys",
    "WebhookNotFound",
    "WebhookSource",
    "Work",
    "conflict_hash",
    "message_hash",
]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return secrets.token_hex(8)


class ControlDatabase:
    """Tenants, settings, keys, jobs, runs of the models; one object serves a process's threads.

    Each call is one transaction, visible to every process when it returns.
    """

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._connections = connections
        self._cache = ReadCache(connections)
        self.audit = AuditLog(connections, clock)
        self.tenants = Tenants(connections, clock, self.audit)
        self.keys = Keys(connections, clock, new_id, self.audit)
        self.webhooks = WebhookSources(connections, clock, self.audit)
        self.messages = WebhookMessages(connections, clock)
        self.sessions = Sessions(connections, clock)
        self.usage = DailyUsage(connections)
        self.upload_usage = DailyUsage(connections, "upload_bytes")
        self.jobs = Jobs(connections, clock, new_id)
        self.queue = JobQueue(connections, clock, new_id)
        self.runs = Runs(connections, clock)
        self.run_lock = RunLock(connections, clock)
        self.suppressions = Suppressions(connections, clock)
        self.erasures = Erasures(connections, clock, self.suppressions, self.audit)
        self.disclosures = Disclosures(connections, self.suppressions, self.audit)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Callable[[], datetime] = _now,
        new_id: Callable[[], str] = _new_id,
    ) -> Self:
        """Open the database at `url` (SQLAlchemy); `new_id` gives letters, digits and `-` only.

        A SQLite database is created and migrated; several processes may do so at once. Any other
        must be migrated already, since its migrations belong to a deployment's steps: `EtaError`
        names the command.
        """
        connections = connect(url)
        try:
            _bring_to_head(connections)
        except BaseException:
            connections.close()
            raise
        return cls(connections, clock, new_id)

    def tenant_settings(self, tenant_id: str) -> TenantSettings:
        """Return the tenant's newest settings; raises `TenantNotFound`."""
        return self._cache.get(("settings", tenant_id), lambda: self.tenants.settings(tenant_id))

    def mapping_versions(self, tenant_id: str) -> tuple[dict[str, SourceMapping], ...]:
        """Return a tenant's mappings of all versions; see `Tenants.mapping_versions`."""
        return self._cache.get(
            ("mappings", tenant_id), lambda: self.tenants.mapping_versions(tenant_id)
        )

    def set_tenant_settings(
        self, tenant_id: str, settings: TenantSettings, *, by: str = SYSTEM
    ) -> int:
        """Store a new version of the settings and return its number; raises `TenantNotFound`."""
        return self.tenants.set_settings(tenant_id, settings, by=by)

    def authenticate(self, presented_key: str) -> ApiKey | None:
        """Return the key that was presented, None when it is unknown, wrong, old or revoked."""
        if not presented_key.isascii():
            return None
        kept_under = ("key", key_hash(presented_key))
        return self.keys.admit(self._cache.get(kept_under, lambda: self.keys.find(presented_key)))

    def has_ended(self, session_id: str) -> bool:
        """Whether the process of a session is known to be dead."""
        return self.sessions.is_over(session_id)

    @property
    def is_quick(self) -> bool:
        """Whether keys and settings are answered in microseconds: SQLite, on this machine."""
        return self._connections.is_sqlite

    def webhook_source(self, source_id: str) -> WebhookSource:
        """Return a webhook source that is in use; raises `WebhookNotFound`."""
        return self._cache.get(("webhook", source_id), lambda: self.webhooks.get(source_id))

    def any_webhook_source(self, source_id: str) -> WebhookSource:
        """Return a webhook source, also one that was removed; raises `WebhookNotFound`."""
        return self.webhooks.get(source_id, with_removed=True)

    def suppression_version(self, tenant_id: str) -> int:
        """Return a number that grows whenever the tenant's suppression list changes."""
        return self._cache.get(
            ("suppression", tenant_id), lambda: self.suppressions.version(tenant_id)
        )

    def suppressed(self, tenant_id: str) -> ListedHashes:
        """Return the tenant's suppression list as it stands."""
        return self.suppressions.hashes(tenant_id)

    def compact(self, tables: Sequence[str]) -> None:
        """Write the database's files anew; see `Connections.compact`."""
        self._connections.compact(tables)

    @property
    def connections(self) -> Connections:
        """Transactions on the database, for what no part of it does."""
        return self._connections

    def ping(self) -> None:
        """Ask the database for an answer; raises `DatabaseUnreachable` when there is none."""
        with self._connections.read() as connection:
            connection.execute(text("select 1"))

    def close(self) -> None:
        """Close every connection; the object is of no use afterwards."""
        self._cache.close()
        self._connections.close()


def _bring_to_head(connections: Connections) -> None:
    with connections.read() as connection:
        found = revision(connection)
    if found == HEAD:
        return
    if not connections.is_sqlite:
        raise EtaError(
            f"the control database stands at revision {found}, this version needs {HEAD}",
            remedy="run `eta db upgrade`, or the newest version of eta when that finds it unknown",
        )
    upgrade(connections)
