"""The part of a snapshot's manifest that a reader needs, checked before anything is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eta_data.errors import DamagedError, DataError

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SNAPSHOT: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_LOCATION: Final = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)+")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A table as a snapshot names it: its location below the lake, and the Delta version.

    None: a manifest of an earlier release does not say.
    """

    location: str
    version: int
    table_id: str | None
    """Delta's id of the table."""
    files_hash: str | None
    """Hash over the names of the tenant's data files."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself."""

    snapshot_id: str
    tenant_id: str
    content_hash: str
    is_evaluation: bool
    positives: int
    """Rows with label 1.0 that are trained on."""
    negatives: int
    held_out: int
    """Validation and test rows of an evaluation snapshot."""
    pinned: Mapping[str, Pinned]
    """Table → where it is and how it was."""

    @property
    def rows(self) -> int:
        """All rows of the snapshot."""
        return self.positives + self.negatives + self.held_out


def check_tenant(tenant: str) -> str:
    """Return the id of a tenant; refuse what cannot be one, as it becomes a part of paths."""
    if _TENANT.fullmatch(tenant) is None:
        raise DataError(
            "that is no tenant id",
            remedy="lower-case letters, digits, `-` and `_`, at most 63; see `eta tenants list`",
        )
    return tenant


def check_snapshot(snapshot: str) -> str:
    """Return the id of a snapshot; refuse what cannot be one."""
    if _SNAPSHOT.fullmatch(snapshot) is None:
        raise DataError(
            "that is no id of a snapshot",
            remedy='see `eta training list`, or give "current"',
        )
    return snapshot


def read_manifest(content: bytes, place: str, tenant: str, snapshot: str) -> Manifest:
    """Return the manifest at `place`; refuse another tenant's, another snapshot's, a withdrawn one.

    `snapshot` is an id, or "current" for whichever it is.
    """
    try:
        found = json.loads(content)
        manifest = _manifest(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"the manifest {place} cannot be read: {type(error).__name__}",
            remedy="copy or export the snapshot again; a newer format needs a newer eta-data",
        ) from error
    if manifest.tenant_id != tenant:
        raise DataError(
            f"{place} belongs to another tenant than {tenant}",
            remedy="open the folder of this tenant, or name the tenant whose data you may read",
        )
    if snapshot not in ("current", manifest.snapshot_id):
        raise DataError(
            f"{place} is snapshot {manifest.snapshot_id}, not {snapshot}",
            remedy="open the export of that snapshot, or name this one",
        )
    if found.get("withdrawn_at") is not None:
        raise DataError(
            f"snapshot {manifest.snapshot_id} was withdrawn: it held rows of somebody erased",
            remedy="use the current one, see `eta training list`, and delete copies of this one",
        )
    return manifest


def _manifest(found: Mapping[str, Any]) -> Manifest:
    if found["format"] != 1:
        raise ValueError("format")
    counts, held_out = found["counts"], found.get("held_out")
    pinned = {}
    parts = found.get("parts") or {}
    for table, state in found["pinned"].items():
        if _LOCATION.fullmatch(state["location"]) is None:
            raise ValueError("location")
        hashed = parts[table]["files_hash"] if table in parts else None
        version, table_id = int(state["version"]), state.get("table_id")
        pinned[table] = Pinned(state["location"], version, table_id, hashed)
    return Manifest(
        snapshot_id=check_snapshot(found["snapshot_id"]),
        tenant_id=check_tenant(found["tenant_id"]),
        content_hash=str(found["content_hash"]),
        is_evaluation="split" in found,
        positives=int(counts["positives"]),
        negatives=_negatives(counts),
        held_out=int(held_out["validation"]) + int(held_out["test"]) if held_out else 0,
        pinned=pinned,
    )


def _negatives(counts: Mapping[str, Any]) -> int:
    """Return the negatives of all kinds; a set without shown ones does not count them."""
    shown = counts.get("shown_negatives") or 0
    return int(counts["sampled_negatives"]) + int(counts["explicit_negatives"]) + int(shown)
