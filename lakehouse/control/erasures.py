"""Erasure requests: since when, how far, and the certificate at the end."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Row, func, insert, select, update

from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.control.erasure_subjects import ErasureSubjects, insert_subjects
from lakehouse.control.owner import this_process
from lakehouse.control.suppressions import Suppressions, subject_hash
from lakehouse.control.tenants import TenantNotFound
from lakehouse.control.withdrawals import FIRST_STEP as FIRST_STEP  # this module's name for it
from lakehouse.control.withdrawals import WORKER, is_left, withdraw
from lakehouse.errors import EtaError

State = Literal[
    "pending", "running", "waiting", "needs_attention", "completed", "nothing_found", "withdrawn"
]

ENDED: Final = ("completed", "nothing_found", "withdrawn")
"""States in which nothing is left to do. In `nothing_found` none of the subjects was anywhere; what
was `withdrawn` is carried out no further."""

DUE_AFTER: Final = timedelta(hours=24)
ALARM_AFTER: Final = timedelta(hours=12)
MAX_SUBJECTS: Final = 10_000
ERASED: Final = "privacy.erased"
"""What the audit log calls a completed request; the entry has the certificate's signature."""
DONE: Final = "done"

_LEFT: Final = (
    "the process that carried it out has ended before it was done: the next `eta privacy work` "
    "goes on where it was"
)


class ErasureNotFound(EtaError):
    """No erasure has this id, or it is another tenant's."""

    def __init__(self) -> None:
        super().__init__(
            "there is no erasure of that id", remedy="see `eta privacy status`, or ask for it anew"
        )


@dataclass(frozen=True, slots=True)
class Erasure:
    """A request; times are UTC. `waits_for` says in sentences what it cannot go on without."""

    request_id: str
    tenant_id: str
    state: State
    step: str
    subject_count: int
    requested_by: str
    requested_at: datetime
    due_at: datetime
    finished_at: datetime | None
    waits_for: tuple[str, ...]
    notes: Mapping[str, Any]
    certificate: Mapping[str, Any] | None

    def is_late(self, now: datetime) -> bool:
        """Whether it is open and half of its time is over."""
        return self.state not in ENDED and now >= self.requested_at + ALARM_AFTER


class Erasures:
    """The erasures of one control database."""

    def __init__(
        self,
        connections: Connections,
        clock: Callable[[], datetime],
        suppressions: Suppressions,
        audit: AuditLog,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._suppressions = suppressions
        self._audit = audit
        self.people = ErasureSubjects(connections, suppressions)
        """Whom the requests are about."""

    def request(self, tenant_id: str, subjects: Sequence[str], *, by: str = SYSTEM) -> Erasure:
        """Record a request and suppress its subjects, in one transaction.

        From when this returns, nothing of them is stored any more. Each subject is 1 to 512
        characters; one that comes twice counts once. Raises `TenantNotFound`, and `EtaError` for
        none or too many subjects, or an empty one.
        """
        wanted = list(dict.fromkeys(subjects))
        _check(wanted)
        request_id = f"er_{secrets.token_hex(12)}"
        now, key = self._clock(), Fernet.generate_key()
        known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.write() as connection:
            if connection.execute(known).first() is None:
                raise TenantNotFound(tenant_id)
            hash_key = self._suppressions.key(connection, tenant_id)
            hashed = {subject_hash(hash_key, subject): subject for subject in wanted}
            self._suppressions.add(connection, tenant_id, dict.fromkeys(hashed))
            connection.execute(
                insert(schema.erasures).values(
                    request_id=request_id,
                    tenant_id=tenant_id,
                    state="pending",
                    step=FIRST_STEP,
                    subject_count=len(wanted),
                    requested_by=by,
                    requested_at=now,
                    due_at=now + DUE_AFTER,
                    waits_for=[],
                    notes={},
                    subject_key=key.decode(),
                )
            )
            insert_subjects(connection, request_id, key, hashed)
            what = {"subjects": len(wanted)}
            self._audit.write(connection, by, "privacy.erase", tenant_id, request_id, **what)
        return self.get(request_id)

    def get(self, request_id: str, tenant_id: str | None = None) -> Erasure:
        """Return a request; raises `ErasureNotFound`, also for one of another tenant."""
        table = schema.erasures
        query = select(table).where(table.c.request_id == request_id)
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise ErasureNotFound
        return _erasure(row)

    def newest(
        self, tenant_id: str | None = None, *, limit: int = 100, is_open: bool | None = None
    ) -> list[Erasure]:
        """Return the newest requests, newest first, of one tenant or all."""
        table = schema.erasures
        query = select(table).order_by(table.c.requested_at.desc(), table.c.request_id).limit(limit)
        if tenant_id is not None:
            query = query.where(table.c.tenant_id == tenant_id)
        if is_open is not None:
            done = table.c.state.in_(ENDED)
            query = query.where(~done if is_open else done)
        with self._connections.read() as connection:
            return [_erasure(row) for row in connection.execute(query)]

    def open_tenants(self) -> list[str]:
        """Return the tenants with open requests, that with the oldest first."""
        table = schema.erasures
        query = (
            select(table.c.tenant_id)
            .where(table.c.state.not_in(ENDED))
            .group_by(table.c.tenant_id)
            .order_by(func.min(table.c.requested_at))
        )
        with self._connections.read() as connection:
            return list(connection.execute(query).scalars())

    def move(
        self, request_id: str, *, state: State, step: str, waits_for: Sequence[str] = ()
    ) -> None:
        """Say how far a request is, and that this process is at it; one that ended stays so."""
        table = schema.erasures
        values: dict[str, Any] = {"state": state, "step": step, "waits_for": list(waits_for)}
        mine = (table.c.request_id == request_id, table.c.state.not_in(ENDED))
        with self._connections.write() as connection:
            notes = connection.execute(select(table.c.notes).where(*mine)).scalar()
            if notes is not None and state == "running":
                values["notes"] = {**notes, WORKER: asdict(this_process())}
            connection.execute(update(table).where(*mine).values(**values))

    def note(self, notes: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember something of each request (by its id), in place of what was known of it."""
        self._note(notes, is_first_kept=False)

    def note_once(self, notes: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember something of each request (by its id); a name that is known keeps its value."""
        self._note(notes, is_first_kept=True)

    def _note(self, notes: Mapping[str, Mapping[str, Any]], *, is_first_kept: bool) -> None:
        table = schema.erasures
        with self._connections.write() as connection:
            for request_id, fresh in notes.items():
                mine = table.c.request_id == request_id
                known: dict[str, Any] = connection.execute(
                    select(table.c.notes).where(mine)
                ).scalar_one()
                merged = {**fresh, **known} if is_first_kept else {**known, **fresh}
                connection.execute(update(table).where(mine).values(notes=merged))

    def notes_of(self, request_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return what is remembered of each request."""
        table = schema.erasures
        query = select(table.c.request_id, table.c.notes)
        with self._connections.read() as connection:
            rows = connection.execute(query.where(table.c.request_id.in_(request_ids))).all()
        return {row.request_id: row.notes for row in rows}

    def complete(self, request_id: str, certificate: Mapping[str, Any]) -> bool:
        """End a request: its certificate stays, its subjects and their key go.

        One transaction with the audit log's entry. False when it had ended before.
        """
        tenant_id = str(certificate["tenant_id"])
        with self._connections.write() as connection:
            if not self._end(connection, request_id, "completed", certificate=dict(certificate)):
                return False
            signature = certificate.get("signature")
            self._audit.write(
                connection, SYSTEM, ERASED, tenant_id, request_id, signature=signature
            )
        return True

    def withdraw(self, request_id: str, tenant_id: str | None = None, *, by: str) -> Erasure:
        """End a request that is not completed; see `withdrawals.withdraw`."""
        found = self.get(request_id, tenant_id)
        withdraw(
            self._connections, self._suppressions, self._audit, found, by=by, now=self._clock()
        )
        return self.get(request_id, tenant_id)

    def end_without(self, request_id: str, tenant_id: str, searched: Mapping[str, Any]) -> bool:
        """End a request of which nothing was anywhere: no certificate, its subjects and key go.

        They stay on the suppression list. `searched` is noted. One transaction with the audit
        log's entry. False when it had ended before.
        """
        table = schema.erasures
        with self._connections.write() as connection:
            mine = select(table.c.notes).where(table.c.request_id == request_id)
            notes = {**connection.execute(mine).scalar_one(), "searched": dict(searched)}
            if not self._end(connection, request_id, "nothing_found", notes=notes):
                return False
            self._audit.write(connection, SYSTEM, "privacy.nothing_found", tenant_id, request_id)
        return True

    def _end(self, connection: Connection, request_id: str, state: State, **values: Any) -> bool:
        table, subjects = schema.erasures, schema.erasure_subjects
        changed = connection.execute(
            update(table)
            .where(table.c.request_id == request_id, table.c.state.not_in(ENDED))
            .values(
                state=state,
                step=DONE,
                waits_for=[],
                finished_at=self._clock(),
                subject_key=None,
                **values,
            )
        )
        if not changed.rowcount:
            return False
        mine = subjects.c.request_id == request_id
        connection.execute(update(subjects).where(mine).values(sealed=None))
        return True

    def lift(self, tenant_id: str, subjects: Sequence[str], *, by: str) -> int:
        """Let subjects be stored again; return how many were on the list.

        What is tied to them is let in as well. Raises `TenantNotFound`, and `EtaError` while one
        of them is being erased.
        """
        known = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.write() as connection:
            if connection.execute(known).first() is None:
                raise TenantNotFound(tenant_id)
            key = self._suppressions.key(connection, tenant_id)
            hashes = [subject_hash(key, subject) for subject in dict.fromkeys(subjects)]
            table, requests = schema.erasure_subjects, schema.erasures
            being_erased = (
                select(table.c.request_id)
                .join(requests, requests.c.request_id == table.c.request_id)
                .where(
                    requests.c.tenant_id == tenant_id,
                    requests.c.state.not_in(ENDED),
                    table.c.subject_hash.in_(hashes),
                )
            )
            if (request_id := connection.execute(being_erased).scalar()) is not None:
                raise EtaError(
                    f"the erasure {request_id} of one of them is not completed",
                    remedy="wait until it is: `eta privacy status`, `eta privacy work`; or "
                    "`eta privacy withdraw` it",
                )
            lifted = self._suppressions.remove(connection, tenant_id, hashes)
            what = {"subjects": lifted}
            self._audit.write(connection, by, "privacy.lift", tenant_id, tenant_id, **what)
        return lifted


def _check(subjects: Sequence[str]) -> None:
    if not 0 < len(subjects) <= MAX_SUBJECTS:
        raise EtaError(
            f"an erasure has 1 to {MAX_SUBJECTS:,} subjects, this one {len(subjects):,}",
            remedy="name at least one, and more than that in several requests",
        )
    if any("\0" in subject for subject in subjects):
        raise EtaError(
            "a subject has a NUL, which no stored id has",
            remedy="send user ids (or anonymous ids) exactly as they were sent with the events",
        )
    if any(not subject.strip() or len(subject) > 512 for subject in subjects):
        raise EtaError(
            "a subject is empty or longer than 512 characters",
            remedy="send user ids (or anonymous ids) exactly as they were sent with the events",
        )


def _erasure(row: Row[Any]) -> Erasure:
    """Return a request as it stands now: one whose process was killed waits for the next."""
    notes = {name: value for name, value in row.notes.items() if name != WORKER}
    was_left = is_left(row.state, row.notes)
    return Erasure(
        row.request_id,
        row.tenant_id,
        "waiting" if was_left else row.state,
        row.step,
        row.subject_count,
        row.requested_by,
        row.requested_at,
        row.due_at,
        row.finished_at,
        (_LEFT,) if was_left else tuple(row.waits_for),
        notes,
        row.certificate,
    )
