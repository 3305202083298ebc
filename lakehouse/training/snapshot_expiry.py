"""Takes back training sets and evaluation snapshots by their age, with the copies exported here.

A manifest that is gone pins nothing: the next `eta tables clean` deletes the files that only it
needed. The current snapshot of a tenant stays, however old.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lakehouse.contracts.retention import DataClass, RetentionPolicy
from lakehouse.storage.lake import Lake
from lakehouse.storage.working_folder import LOCK, remove_left
from lakehouse.training.manifest import Manifest
from lakehouse.training.snapshots import EVALUATION_SETS, TRAINING_SETS, Snapshots

_KINDS: Final[tuple[Snapshots[Any], ...]] = (TRAINING_SETS, EVALUATION_SETS)


@dataclass(frozen=True, slots=True)
class ExpiredSnapshot:
    """A snapshot that was taken back, and how many exported copies of it were deleted."""

    tenant_id: str
    snapshot_id: str
    created_at: datetime
    rows: int
    copies: int


def expire_snapshots(
    lake: Lake,
    tenants: Mapping[str, RetentionPolicy],
    now: datetime,
    *,
    tenant_id: str | None = None,
    dry_run: bool = False,
) -> list[ExpiredSnapshot]:
    """Take back what is older than its tenant's policy allows, of one tenant or of all.

    One that is being exported into the home stays, its manifest too, until the export has ended:
    the next call takes both.
    """
    found = []
    for kind in _KINDS:
        for owner in kind.tenants(lake):
            if tenant_id not in (None, owner):
                continue
            tiers = tenants.get(owner, RetentionPolicy()).tiers(DataClass.TRAINING_DATA)
            before = now - timedelta(days=tiers.delete_days)
            for manifest in kind.expired(lake, owner, before):
                expired = _expire(lake, kind, manifest, dry_run=dry_run)
                if expired is not None:
                    found.append(expired)
    return found


def _delete(copy: Path) -> bool:
    """Delete an exported copy; False while a living export works in it."""
    if copy.name.startswith(".") and copy.is_dir() and not copy.is_symlink():
        return remove_left(copy)
    if copy.is_dir() and not copy.is_symlink():
        shutil.rmtree(copy)
    elif copy.suffix != LOCK:  # a lock is its export's, or nobody's
        copy.unlink(missing_ok=True)
    return True


def _expire(
    lake: Lake, kind: Snapshots[Any], manifest: Manifest, *, dry_run: bool
) -> ExpiredSnapshot | None:
    folder = lake.home / "exports" / manifest.tenant_id
    # a killed export leaves a hidden folder; a delta holds keys of the snapshot it begins at
    names = (f"{manifest.snapshot_id}-*", f"*-delta-since-{manifest.snapshot_id}*")
    copies = sorted(
        {copy for name in names for start in ("", ".") for copy in folder.glob(f"{start}{name}")}
    )
    if not dry_run:
        # Copies first: a manifest that is gone would no longer lead to them.
        if [copy for copy in copies if not _delete(copy)]:
            return None
        kind.forget(lake, manifest)
    return ExpiredSnapshot(
        manifest.tenant_id,
        manifest.snapshot_id,
        manifest.created_at,
        manifest.row_count,
        len(copies),
    )
