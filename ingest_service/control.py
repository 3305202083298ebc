"""What the service needs of the control database, so that tests can stand in for it."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol

from lakehouse.contracts.tenant import SourceMapping, TenantSettings
from lakehouse.control.database import (
    Accepted,
    ApiKey,
    AuditEntry,
    Claim,
    Erasure,
    Job,
    KeyLimits,
    KeyRecord,
    NewKey,
    WebhookSource,
    Work,
)


class JobLog(Protocol):
    """Jobs as the service writes them."""

    def start(self, tenant_id: str, kind: str, batch_id: str) -> str:
        """Record a running job; return its id."""
        ...

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job."""
        ...

    def get(self, job_id: str) -> Job:
        """Return a job; raises `JobNotFound`."""
        ...

    def list(
        self, tenant_id: str, *, limit: int = 100, besides: str | None = None
    ) -> Sequence[Job]:
        """The tenant's newest jobs but those of the kind `besides`, newest first."""
        ...

    def recover(self) -> int:
        """Fail the jobs of dead processes; return how many."""
        ...


class WorkQueue(Protocol):
    """Jobs that can be run again; see `lakehouse.control.job_queue.JobQueue`."""

    def accept(
        self, work: Work, claim: Claim | None = None, limits: KeyLimits | None = None
    ) -> Accepted:
        """Record a job, or find the one that the claim's key is bound to."""
        ...

    def running(self, job_id: str) -> AbstractContextManager[None]:
        """Run a job in the block."""
        ...

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job, now or as soon as it can be recorded."""
        ...

    def write_endings(self) -> None:
        """Record the ends that could not be recorded before."""
        ...

    def begin(self, job_id: str) -> Job | None:
        """Start a queued job."""
        ...

    def begin_again(self, job_id: str) -> Job | None:
        """Start a job that came to no end."""
        ...

    def put_back(self, job_id: str) -> None:
        """Queue a job again that was stopped on purpose."""
        ...

    def report(self, job_id: str, progress: dict[str, Any]) -> None:
        """Say how far a running job is."""
        ...

    def adopt(self) -> list[str]:
        """Queue the jobs of dead processes for this one; return their ids."""
        ...

    def needs(self, spool_name: str) -> bool:
        """Whether a job that has not ended needs this file."""
        ...

    def forget_keys(self) -> int:
        """Drop old idempotency keys."""
        ...


class KeyRing(Protocol):
    """Keys as their tenant manages them; see `lakehouse.control.keys.Keys`."""

    def list(self, tenant_id: str) -> Sequence[KeyRecord]:
        """Return a tenant's keys."""
        ...

    def create(
        self,
        tenant_id: str,
        scopes: Collection[str] = ...,
        *,
        by: str = ...,
        granted_by: Collection[str] = ...,
    ) -> NewKey:
        """Make a key."""
        ...

    def rotate(
        self,
        key_id: str,
        overlap: timedelta,
        *,
        tenant_id: str | None = None,
        by: str = ...,
        granted_by: Collection[str] = ...,
    ) -> NewKey:
        """Make a key in the place of another."""
        ...

    def revoke(self, key_id: str, *, tenant_id: str | None = None, by: str = ...) -> None:
        """Refuse a key."""
        ...


class Deeds(Protocol):
    """The audit log."""

    def list(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[AuditEntry]:
        """Return the newest entries."""
        ...


class ErasureLog(Protocol):
    """Erasures as the service takes them in; see `lakehouse.control.erasures.Erasures`."""

    def request(self, tenant_id: str, subjects: Sequence[str], *, by: str = ...) -> Erasure:
        """Record a request and suppress its subjects."""
        ...

    def get(self, request_id: str, tenant_id: str | None = None) -> Erasure:
        """Return a request; raises `ErasureNotFound`."""
        ...

    def withdraw(self, request_id: str, tenant_id: str | None = None, *, by: str) -> Erasure:
        """End a request that is not completed; raises `ErasureNotFound`, and `EtaError`."""
        ...

    def newest(
        self, tenant_id: str | None = None, *, limit: int = ..., is_open: bool | None = None
    ) -> Sequence[Erasure]:
        """Return requests, the newest first."""
        ...


class Disclosed(Protocol):
    """What was handed out; see `lakehouse.control.disclosures.Disclosures`."""

    def note(self, tenant_id: str, user_id: str, *, by: str = ...) -> None:
        """Note an export of a person."""
        ...


class Control(Protocol):
    """Keys, settings, webhook sources and jobs."""

    @property
    def keys(self) -> KeyRing:
        """The API keys."""
        ...

    @property
    def audit(self) -> Deeds:
        """The audit log."""
        ...

    @property
    def disclosures(self) -> Disclosed:
        """What was handed out of people."""
        ...

    @property
    def erasures(self) -> ErasureLog:
        """The erasures."""
        ...

    def mapping_versions(self, tenant_id: str) -> tuple[dict[str, SourceMapping], ...]:
        """Return a tenant's source mappings of all versions; raises `SettingsHistoryLost`."""
        ...

    def webhook_source(self, source_id: str) -> WebhookSource:
        """Return a webhook source that is in use; raises `WebhookNotFound`."""
        ...

    @property
    def queue(self) -> WorkQueue:
        """Jobs that can be run again."""
        ...

    @property
    def jobs(self) -> JobLog:
        """The job log."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether keys and settings are answered in microseconds, so that no thread is needed."""
        ...

    def authenticate(self, presented_key: str) -> ApiKey | None:
        """Return the key, None when it is none."""
        ...

    def tenant_settings(self, tenant_id: str) -> TenantSettings:
        """Return a tenant's settings."""
        ...

    def ping(self) -> None:
        """Raise `EtaError` when the database does not answer."""
        ...
