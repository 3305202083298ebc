"""The end of a request: a certificate, or the record that nothing of anybody was there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.privacy.certificate import signed
from lakehouse.privacy.unmatched import NOTHING, UNKNOWN
from lakehouse.privacy.widening import SENT_AS, STORED_AS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from lakehouse.control.database import ControlDatabase
    from lakehouse.control.erasures import Erasure
    from lakehouse.privacy.verify import Search


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What the last search of a round showed, and what the round did.

    `identifiers`: how many were looked for, by kind. `removed`: files by kind of place. `refusal`:
    why the training set was not published again, if it had to be and was not.
    """

    found: Search
    removed: Mapping[str, int]
    withdrawn: Sequence[str]
    refusal: str | None
    policy: str
    identifiers: Mapping[str, int]
    table_versions: Mapping[str, int]
    table_commits: Mapping[str, str]

    @property
    def searched(self) -> dict[str, Any]:
        """How much was looked through."""
        sizes = {"files": self.found.files, "bytes": self.found.bytes}
        return {**sizes, "identifiers": dict(self.identifiers)}


def end_request(
    database: ControlDatabase,
    request_id: str,
    proven: ErasureResult,
    key: Ed25519PrivateKey,
    now: datetime,
) -> bool:
    """End a request: with a certificate if anything of its people was there; else without.

    False when it had ended before.
    """
    request = database.erasures.get(request_id)
    if request.notes.get(NOTHING):
        return database.erasures.end_without(request_id, request.tenant_id, proven.searched)
    content = _content(database, request, proven, now)
    return database.erasures.complete(request_id, signed(content, key))


def _content(
    database: ControlDatabase, request: Erasure, proven: ErasureResult, now: datetime
) -> dict[str, Any]:
    hashes, notes = database.erasures.hashes(request.request_id), request.notes
    return {
        "request_id": request.request_id,
        "tenant_id": request.tenant_id,
        "requested_at": request.requested_at.isoformat(),
        "due_at": request.due_at.isoformat(),
        "completed_at": now.isoformat(),
        "subjects": sorted(h for h, tied_to in hashes.items() if tied_to is None),
        "tied_ids": sorted(h for h, tied_to in hashes.items() if tied_to is not None),
        "subjects_without_rows": notes.get(UNKNOWN),
        "mapped_ids": {"erased": notes.get(STORED_AS), "not_erased": notes.get(SENT_AS)},
        "rows_deleted": {**notes.get("raw_rows", {}), **notes.get("derived_rows", {})},
        "rewritten": {
            "files": notes.get("files_rewritten", 0),
            "bytes": notes.get("bytes_rewritten", 0),
        },
        "redis_keys_deleted": notes.get("redis_keys", 0),
        "database_rows_changed": notes.get("database_rows", 0),
        "files_removed": dict(proven.removed),
        "snapshots_withdrawn": list(proven.withdrawn),
        "not_published_anew": proven.refusal,
        "table_versions": dict(proven.table_versions),
        "table_commits": dict(proven.table_commits),
        "searched": {**proven.searched, "found": 0},
        "mentions": {"policy": proven.policy, "places": proven.found.mention_counts},
        "not_searched": ["topics of Kafka: their retention deletes what they hold"],
        "audit_head": database.audit.head(),
    }
