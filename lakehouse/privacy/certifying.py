"""The end of a request: a certificate, or the record that nothing of anybody was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lakehouse.control.suppressions import hash_key_id
from lakehouse.privacy.certificate import signed
from lakehouse.privacy.counts import (
    DERIVED_ROWS,
    ENTRIES,
    FILES,
    KEYS,
    RAW_ROWS,
    REWRITTEN,
    SNAPSHOTS,
    TOGETHER,
    has_removed,
)
from lakehouse.privacy.unmatched import NOTHING, UNKNOWN
from lakehouse.privacy.verify import Search
from lakehouse.privacy.widening import SENT_AS, STORED_AS

if TYPE_CHECKING:
    from lakehouse.control.database import ControlDatabase
    from lakehouse.control.erasures import Erasure


HASHED_WITH: Final = "hashed_with"
"""What tells the key that the subjects are hashed with from another one."""
_OF_ALL: Final = ("rewritten", "files_removed", "snapshots_withdrawn", "searched", "mentions")
"""What a certificate counts of all requests that were carried out together; rows, keys and entries
of the database are counted for each request."""


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What the last search of a round showed, and what the round did.

    `identifiers`: how many were looked for, by kind. `refusal`: why the training set was not
    published again, if it had to be and was not.
    """

    found: Search
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
    if request.notes.get(NOTHING) and not has_removed(request):
        return database.erasures.end_without(request_id, request.tenant_id, proven.searched)
    content = _content(database, request, proven, now)
    return database.erasures.complete(request_id, signed(content, key))


def _content(
    database: ControlDatabase, request: Erasure, proven: ErasureResult, now: datetime
) -> dict[str, Any]:
    hashes, notes = database.erasures.people.hashes(request.request_id), request.notes
    return {
        "request_id": request.request_id,
        "tenant_id": request.tenant_id,
        "requested_at": request.requested_at.isoformat(),
        "due_at": request.due_at.isoformat(),
        "completed_at": now.isoformat(),
        "subjects": sorted(h for h, tied_to in hashes.items() if tied_to is None),
        HASHED_WITH: hash_key_id(database.suppressed(request.tenant_id).key),
        "tied_ids": sorted(h for h, tied_to in hashes.items() if tied_to is not None),
        "subjects_without_rows": notes.get(UNKNOWN),
        "mapped_ids": {"erased": notes.get(STORED_AS), "not_erased": notes.get(SENT_AS)},
        "rows_deleted": {**notes.get(RAW_ROWS, {}), **notes.get(DERIVED_ROWS, {})},
        "redis_keys_deleted": notes.get(KEYS, 0),
        "database_rows_changed": notes.get(ENTRIES, 0),
        "rewritten": _rewritten(notes),
        "files_removed": notes.get(FILES, {}),
        "snapshots_withdrawn": notes.get(
            SNAPSHOTS, [] if notes.get(FILES, {}) is not None else None
        ),
        "not_published_anew": proven.refusal,
        "table_versions": dict(proven.table_versions),
        "table_commits": dict(proven.table_commits),
        "searched": {**proven.searched, "found": 0},
        "mentions": {"policy": proven.policy, "places": proven.found.mention_counts},
        "together": {"requests": notes.get(TOGETHER, 1), "of_all_of_them": list(_OF_ALL)},
        "not_searched": ["topics of Kafka: their retention deletes what they hold"],
        "audit_head": database.audit.head(),
    }


def _rewritten(notes: Mapping[str, Any]) -> dict[str, int] | None:
    """Files and bytes that were written again; None when a process was killed meanwhile."""
    counted: dict[str, int] | None = notes.get(REWRITTEN, {})
    return None if counted is None else {name: counted.get(name, 0) for name in ("files", "bytes")}
