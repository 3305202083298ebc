"""What was handed out of a person: noted in the audit log, the person by a keyed hash alone."""

from typing import Final

from sqlalchemy import select

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.control.suppressions import Suppressions, subject_hash
from lakehouse.control.tenants import TenantNotFound

EXPORTED: Final = "privacy.export"


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
        known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.write() as connection:
            if connection.execute(known).first() is None:
                raise TenantNotFound(tenant_id)
            subject = subject_hash(self._suppressions.key(connection, tenant_id), user_id)
            self._audit.write(connection, by, EXPORTED, tenant_id, subject)
