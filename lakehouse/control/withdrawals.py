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


def _not_open(request_id: str, state: str) -> NotOpenError:
    return NotOpenError(
        f"the erasure {request_id} is {state}",
        remedy="withdraw it when `eta privacy work` has ended"
        if state == "running"
        else "`eta privacy lift` lets people be stored again who were erased",
    )


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
    table, subjects = schema.erasures, schema.erasure_subjects
    mine = subjects.c.request_id == request.request_id
    this = table.c.request_id == request.request_id
    with connections.write() as connection:
        ended = connection.execute(
            update(table)
            .where(this, table.c.state.in_(_OPEN))  # as it is now, not as it was read
            .values(state="withdrawn", waits_for=[], finished_at=now, subject_key=None)
        )
        if not ended.rowcount:
            state: str = connection.execute(select(table.c.state).where(this)).scalar_one()
            raise _not_open(request.request_id, state)
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
        what = {"lifted": lifted}
        audit.write(
            connection, by, "privacy.withdraw", request.tenant_id, request.request_id, **what
        )
