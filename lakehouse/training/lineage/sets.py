"""What is told of snapshots and of their exports, each in its tenant's namespace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from lakehouse.lineage.facts import Dataset, Job, Names, Run
from lakehouse.training.manifest import EvaluationManifest, Manifest

TRAINING_SET: Final = "training_set"
EVALUATION_SET: Final = "evaluation_set"


def published(
    names: Names, manifest: Manifest, ended_at: datetime, parent: Job | None = None
) -> Run:
    """Return the publication of a snapshot: from the pinned versions of tables to the set."""
    kind = _kind(manifest)
    parts = manifest.parts or {}
    inputs = []
    for name, pinned in sorted(manifest.pinned.items()):
        part = parts.get(name)
        inputs.append(
            names.table(
                name,
                pinned.version,
                tenant_id=manifest.tenant_id,
                rows=None if part is None else part.rows,
                size=None if part is None else part.bytes,
                files=None if part is None else part.files,
            )
        )
    return Run(
        names.job(f"publish.{kind}", manifest.snapshot_id, manifest.tenant_id),
        manifest.created_at,
        max(ended_at, manifest.created_at),
        inputs,
        [_snapshot(names, manifest)],
        parent=parent,
    )


def exported(
    names: Names,
    manifest: Manifest,
    what: str,
    folder: Path,
    begun_at: datetime,
    ended_at: datetime,
    since: str | None = None,
) -> Run:
    """Return the export of a snapshot: how much of which format, not where to.

    `what` is the format; with `since` it is a delta, which has rows of an earlier snapshot too.
    """
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    name = f"export.{'delta' if since else what}"
    inputs = [_snapshot(names, manifest)]
    if since is not None:
        inputs.append(Dataset(names.of_tenant(manifest.tenant_id), _kind(manifest), since))
    return Run(
        names.job(name, f"{manifest.snapshot_id} {begun_at.isoformat()}", manifest.tenant_id),
        begun_at,
        ended_at,
        inputs,
        [
            Dataset(
                names.of_tenant(manifest.tenant_id),
                name,
                manifest.snapshot_id,
                rows=None if since else manifest.row_count,
                size=sum(sizes),
                files=len(sizes),
            )
        ],
    )


def _snapshot(names: Names, manifest: Manifest) -> Dataset:
    return Dataset(
        names.of_tenant(manifest.tenant_id),
        _kind(manifest),
        manifest.snapshot_id,
        [(column.name, column.type) for column in manifest.columns],
        rows=manifest.row_count,
    )


def _kind(manifest: Manifest) -> str:
    return EVALUATION_SET if isinstance(manifest, EvaluationManifest) else TRAINING_SET
