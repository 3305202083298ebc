"""Ends an erasure that is not to be carried out, or cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy import select, update

from lakehouse.control import schema
from lakehouse.control.owner import Owner, is_dead
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from lakehouse.control.audit import AuditLog
    from lakehouse.control.connection import Connections
    from lakehouse.control.erasures import Erasure
    from lakehouse.control.suppressions import Suppressions

FIRST_STEP: Final = "fence"
"""The step in which nothing is deleted yet."""
DELETING: Final = frozenset({"rewritten", "raw_rows"})
"""Notes that a request has as soon as it begins to delete; a later pass may be in the first step
again, for requests that came since."""
_OPEN: Final = ("pending", "waiting", "needs_attention")


class NotOpenError(EtaError):
    """A request that has ended, or is being carried out, cannot be withdrawn."""


WORKER: Final = "worker"
"""Name among a request's notes of the process that carries it out; shown to nobody."""


def is_left(state: str, notes: Mapping[str, Any]) -> bool:
    """Whether the process that carried a request out has ended before it was done."""
    worker = notes.get(WORKER)
    return state == "running" and worker is not None and is_dead(Owner(**worker))


def _refuse(request_id: str, state: str, step: str, *, is_left: bool) -> NoReturn:
    if is_left:
        raise NotOpenError(
            f"the erasure {request_id} was broken off in its step {step}, and rows of its "
            "people may be deleted already",
            remedy="`eta privacy work` goes on with it; if it then waits, it can be withdrawn",
        )
    raise NotOpenError(
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
    that has ended or is being carried out at this moment, and for one whose process has ended
    after it began to delete.
    """
    table, subjects = schema.erasures, schema.erasure_subjects
    mine = subjects.c.request_id == request.request_id
    this = table.c.request_id == request.request_id
    with connections.write() as connection:
        # as it is now, not as it was read
        columns = select(table.c.state, table.c.step, table.c.notes)
        held = connection.execute(columns.where(this).with_for_update()).one()
        left = is_left(held.state, held.notes)
        has_begun = held.step != FIRST_STEP or not DELETING.isdisjoint(held.notes)
        if held.state not in _OPEN and not (left and not has_begun):
            _refuse(request.request_id, held.state, held.step, is_left=left)
        connection.execute(
            update(table)
            .where(this)
            .values(state="withdrawn", waits_for=[], finished_at=now, subject_key=None)
        )
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
