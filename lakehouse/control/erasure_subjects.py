"""Whom erasures are about, kept so that nobody can read it afterwards.

Whom to erase has to be known until it is done, also after a kill. So the subjects are kept, but
sealed (Fernet) with a key of their request, and the key goes with them when the request is
finished: no identifier ever stands in the database's files.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.fernet import Fernet
from sqlalchemy import Connection, delete, insert, select

from lakehouse.control import schema
from lakehouse.control.connection import Connections
from lakehouse.control.suppressions import Suppressions, subject_hash


@dataclass(frozen=True, slots=True)
class Subject:
    """Someone to erase; an anonymous id that is tied to a subject has that one's hash."""

    request_id: str
    subject_hash: str
    tied_to: str | None
    text: str = field(repr=False)


class ErasureSubjects:
    """The subjects of one control database's erasures."""

    def __init__(self, connections: Connections, suppressions: Suppressions) -> None:
        self._connections = connections
        self._suppressions = suppressions

    def of(self, request_ids: Sequence[str]) -> list[Subject]:
        """Return the subjects of open requests, and what is tied to them."""
        table, requests = schema.erasure_subjects, schema.erasures
        query = (
            select(table, requests.c.subject_key)
            .join(requests, requests.c.request_id == table.c.request_id)
            .where(table.c.request_id.in_(request_ids), table.c.sealed.is_not(None))
            .order_by(table.c.request_id, table.c.subject_hash)
        )
        with self._connections.read() as connection:
            rows = connection.execute(query).all()
        boxes = {row.request_id: Fernet(row.subject_key.encode()) for row in rows}
        return [
            Subject(
                row.request_id,
                row.subject_hash,
                row.tied_to,
                boxes[row.request_id].decrypt(row.sealed).decode(),
            )
            for row in rows
        ]

    def hashes(self, request_id: str) -> dict[str, str | None]:
        """Return the hashes that a request suppressed: each with the one it is tied to, if any."""
        table = schema.erasure_subjects
        query = select(table.c.subject_hash, table.c.tied_to)
        with self._connections.read() as connection:
            rows = connection.execute(query.where(table.c.request_id == request_id)).all()
        return {row.subject_hash: row.tied_to for row in rows}

    def widen(self, tenant_id: str, request_id: str, subjects: Collection[str]) -> None:
        """Add subjects to a request, and suppress them; one that was tied becomes a subject.

        Does nothing for a request that has ended meanwhile.
        """
        if not subjects:
            return
        table = schema.erasure_subjects
        with self._connections.write() as connection:
            if (key := _key(connection, request_id)) is None:
                return
            hashed = self._hashed(connection, tenant_id, sorted(subjects))
            self._suppressions.add(connection, tenant_id, dict.fromkeys(hashed))
            of_request = table.c.request_id == request_id
            connection.execute(delete(table).where(of_request, table.c.subject_hash.in_(hashed)))
            insert_subjects(connection, request_id, key, hashed)

    def tie(self, tenant_id: str, request_id: str, tied: Mapping[str, str]) -> None:
        """Suppress anonymous ids (each with the hash of its subject) as a part of a request.

        Does nothing for a request that has ended meanwhile.
        """
        if not tied:
            return
        table = schema.erasure_subjects
        with self._connections.write() as connection:
            if (key := _key(connection, request_id)) is None:
                return
            of_request = select(table.c.subject_hash).where(table.c.request_id == request_id)
            known: set[str] = set(connection.execute(of_request).scalars())
            hashed = self._hashed(connection, tenant_id, tied)
            fresh = {one: text for one, text in hashed.items() if one not in known}
            if not fresh:
                return
            owners = {one: tied[text] for one, text in fresh.items()}
            self._suppressions.add(connection, tenant_id, owners)
            insert_subjects(connection, request_id, key, fresh, owners)

    def _hashed(
        self, connection: Connection, tenant_id: str, texts: Iterable[str]
    ) -> dict[str, str]:
        key = self._suppressions.key(connection, tenant_id)
        return {subject_hash(key, text): text for text in texts}


def insert_subjects(
    connection: Connection,
    request_id: str,
    key: bytes,
    texts: Mapping[str, str],
    owners: Mapping[str, str] | None = None,
) -> None:
    """Keep identifiers (hash → text), sealed with the key of their request.

    `owners`: the hash of the subject that each is tied to.
    """
    box, owners = Fernet(key), owners or {}
    rows = [
        {
            "request_id": request_id,
            "subject_hash": one,
            "tied_to": owners.get(one),
            "sealed": box.encrypt(text.encode()),
        }
        for one, text in texts.items()
    ]
    connection.execute(insert(schema.erasure_subjects), rows)


def _key(connection: Connection, request_id: str) -> bytes | None:
    """Return the key of a request, None once it has ended."""
    mine = schema.erasures.c.request_id == request_id
    key: str | None = connection.execute(select(schema.erasures.c.subject_key).where(mine)).scalar()
    return None if key is None else key.encode()
