"""What was handed out of people: noted in the audit log, a person by a keyed hash alone."""

from typing import Final

from sqlalchemy import Connection, select

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.control.suppressions import Suppressions, subject_hash
from lakehouse.control.tenants import TenantNotFound

EXPORTED: Final = "privacy.export"
REJECTS: Final = "quarantine.export"


class Disclosures:
    """The exports of one control database's people."""

    def __init__(
        self, connections: Connections, suppressions: Suppressions, audit: AuditLog
    ) -> None:
        self._connections = connections
        self._suppressions = suppressions
        self._audit = audit

    def note(self, tenant_id: str, user_id: str, *, by: str = SYSTEM) -> None:
        """Note that somebody's data is handed out; to be called before any of it is.

        The entry's subject is the hash that the suppression list would have of the person, so who
        knows an id and the tenant's key can find its exports. Raises `TenantNotFound`.
        """
        with self._connections.write() as connection:
            _check_known(connection, tenant_id)
            subject = subject_hash(self._suppressions.key(connection, tenant_id), user_id)
            self._audit.write(connection, by, EXPORTED, tenant_id, subject)

    def note_rejects(self, tenant_id: str, batch_id: str, *, by: str = SYSTEM) -> None:
        """Note that rejected rows of a batch are handed out, as `note` does."""
        with self._connections.write() as connection:
            _check_known(connection, tenant_id)
            self._audit.write(connection, by, REJECTS, tenant_id, batch_id)


def _check_known(connection: Connection, tenant_id: str) -> None:
    known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
    if connection.execute(known).first() is None:
        raise TenantNotFound(tenant_id)
