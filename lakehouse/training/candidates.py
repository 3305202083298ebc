"""What would be published now: read from Delta logs and a table of one row per tenant.

No example is touched, and it costs the same for one tenant and for all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.row_counts import rows_by_tenant
from lakehouse.training.example_versions import parts_of
from lakehouse.training.manifest import (
    EXAMPLES,
    HISTORIES,
    PINNED_TABLES,
    TRAINING_DATA,
    Column,
    Counts,
    Manifest,
    Parameters,
    Part,
    TableVersion,
    make_snapshot_id,
)
from lakehouse.training.pinned import files_by_tenant, files_hash, pin
from lakehouse.training.tables import built_with, columns_of

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

CONTENTS: Final = "training.training_contents"


def candidates(
    settings: LakeSettings, now: datetime, tenant_ids: Collection[str] | None = None
) -> dict[str, Manifest]:
    """Return what would be published now, by tenant: those of `tenant_ids` (all) with examples.

    Costs the same for one tenant and for all. Raises `EtaError` when the tables do not agree.
    """
    tables = {name: Lake(settings).built(name) for name in (*PINNED_TABLES, CONTENTS)}
    data, contents = tables[TRAINING_DATA], tables[CONTENTS]
    built = built_with(data)
    of_examples = (built_with(tables[name]) for name in (EXAMPLES, HISTORIES))
    if built != built_with(contents) or any(
        (found.source_versions, found.cutoff) != (built.source_versions, built.cutoff)
        for found in of_examples
    ):
        raise _disagreement()
    shared = _Shared(
        pinned={name: pin(name, tables[name]) for name in PINNED_TABLES},
        source_versions=built.source_versions,
        cutoff=built.cutoff,
        columns=columns_of(data),
        code_version=code_version(settings.project),
        now=now,
    )
    rows = {name: rows_by_tenant(tables[name]) for name in PINNED_TABLES}
    files = {name: files_by_tenant(tables[name]) for name in PINNED_TABLES}
    found: dict[str, Manifest] = {}
    for row in contents.to_pyarrow_table().to_pylist():
        tenant_id = row["tenant_id"]
        if tenant_ids is not None and tenant_id not in tenant_ids:
            continue
        held = rows[TRAINING_DATA][tenant_id]
        if not row["example_count"] == held == rows[EXAMPLES][tenant_id]:
            raise _disagreement()
        described = [files[name][tenant_id] for name in (EXAMPLES, HISTORIES)]
        parts = parts_of(tenant_id, files, rows)
        found[tenant_id] = _manifest(shared, row, files_hash(described), parts)
        if found[tenant_id].counts.rows != held:
            raise _disagreement()
    return found


def is_newest(lake: Lake, candidate: Manifest) -> bool:
    """Whether the training data still stands at the version of the candidate."""
    return pin(TRAINING_DATA, lake.built(TRAINING_DATA)) == candidate.training_data


def code_version(project_dir: Path) -> str:
    """Return the commit of the checkout, with `-dirty` if it was changed, else the version."""
    if (project_dir / ".git").exists():
        command = ["git", "-C", str(project_dir), "describe", "--always", "--dirty", "--exclude=*"]
        try:
            told = subprocess.run(
                [*command, "--abbrev=40"], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            return told.stdout.strip()
    return version("eta-lakehouse")


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the manifests of one moment have in common."""

    pinned: Mapping[str, TableVersion]
    source_versions: Mapping[str, int]
    cutoff: str | None
    columns: tuple[Column, ...]
    code_version: str
    now: datetime


def _manifest(
    shared: _Shared, row: Mapping[str, Any], example_files: str, parts: Mapping[str, Part]
) -> Manifest:
    counts = Counts(
        positives=row["positive_count"],
        sampled_negatives=row["sampled_negative_count"],
        explicit_negatives=row["explicit_negative_count"],
        shortfall=row["shortfall_count"],
        positives_without_negatives=row["positives_without_negatives_count"],
        liked_and_disliked=row["liked_and_disliked_count"],
        shown_negatives=row.get("shown_negative_count") or None,
    )
    return Manifest(
        snapshot_id=make_snapshot_id(shared.now, row["content_hash"]),
        tenant_id=row["tenant_id"],
        created_at=shared.now,
        pinned=shared.pinned,
        source_versions=shared.source_versions,
        newest_known_at=row["newest_known_at"],
        parameters=Parameters(
            seed=row["seed"],
            cutoff=shared.cutoff,
            negatives_per_positive=row["negatives_per_positive"],
            positive_types=tuple(filter(None, row["positive_types"].split(","))),
            negative_types=tuple(filter(None, row["negative_types"].split(","))),
            event_types=_read_json(row.get("event_types")),
            half_life_days=row.get("half_life_days"),
            clickstream=_read_json(row.get("clickstream")),
            traffic=_read_json(row.get("traffic")),
            shown_per_positive=row.get("shown_per_positive"),
            negatives=_read_json(row.get("negatives")),
        ),
        counts=counts,
        label_balance=counts.positives / counts.rows,
        content_hash=row["content_hash"],
        columns=shared.columns,
        code_version=shared.code_version,
        example_files=example_files,
        parts=parts,
    )


def _read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _disagreement() -> EtaError:
    return EtaError(
        "the training tables are of different runs: one was interrupted, or is running now",
        remedy="run `eta prepare` when no other run is going on",
    )
