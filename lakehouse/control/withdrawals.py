"""Ends an erasure that is not to be carried out, or cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from lakehouse.control import schema
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from datetime import datetime

    from lakehouse.control.audit import AuditLog
    from lakehouse.control.connection import Connections
    from lakehouse.control.erasures import Erasure
    from lakehouse.control.suppressions import Suppressions

_OPEN: Final = ("pending", "waiting", "needs_attention")


class NotOpenError(EtaError):
    """A request that has ended, or is being carried out, cannot be withdrawn."""


def withdraw(
    connections: Connections,
    suppressions: Suppressions,
    audit: AuditLog,
    request: Erasure,
    *,
    by: str,
    now: datetime,
) -> None:
    """End a request without a certificate, in one transaction with the audit log's entry.

    Its people may be stored again, unless another request is about them too. What was deleted
    already stays deleted. Its sealed identifiers and their key go. Raises `NotOpenError` for one
    that has ended or is being carried out at this moment.
    """
    if request.state not in _OPEN:
        is_running = request.state == "running"
        raise NotOpenError(
            f"the erasure {request.request_id} is {request.state}",
            remedy="withdraw it when `eta privacy work` has ended"
            if is_running
            else "`eta privacy lift` lets people be stored again who were erased",
        )
    table, subjects = schema.erasures, schema.erasure_subjects
    mine = subjects.c.request_id == request.request_id
    with connections.write() as connection:
        hashes: set[str] = set(
            connection.execute(select(subjects.c.subject_hash).where(mine)).scalars()
        )
        others = (
            select(subjects.c.subject_hash)
            .join(table, table.c.request_id == subjects.c.request_id)
            .where(
                table.c.tenant_id == request.tenant_id,
                table.c.state != "withdrawn",
                table.c.request_id != request.request_id,
            )
        )
        hashes -= set(connection.execute(others).scalars())
        lifted = suppressions.remove(connection, request.tenant_id, hashes)
        connection.execute(update(subjects).where(mine).values(sealed=None))
        connection.execute(
            update(table)
            .where(table.c.request_id == request.request_id)
            .values(state="withdrawn", waits_for=[], finished_at=now, subject_key=None)
        )
        what = {"lifted": lifted}
        audit.write(
            connection, by, "privacy.withdraw", request.tenant_id, request.request_id, **what
        )
