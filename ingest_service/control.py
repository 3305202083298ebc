"""What the service needs of the control database, so that tests can stand in for it."""

from collections.abc import Sequence
from typing import Any, Protocol

from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ApiKey, Job


class JobLog(Protocol):
    """Jobs as the service writes them."""

    def start(self, tenant_id: str, kind: str, batch_id: str) -> str:
        """Record a running job; return its id."""
        ...

    def finish(self, job_id: str, state: str, result: dict[str, Any]) -> None:
        """End a job."""
        ...

    def list(self, tenant_id: str, *, limit: int = 100) -> Sequence[Job]:
        """The tenant's newest jobs, newest first."""
        ...

    def recover(self) -> int:
        """Fail the jobs of dead processes; return how many."""
        ...


class Control(Protocol):
    """Keys, settings and jobs."""

    @property
    def jobs(self) -> JobLog:
        """The job log."""
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
