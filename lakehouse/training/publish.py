"""Publishes training sets: a manifest file per snapshot and one pointer to the current one.

`{lake}/training_sets/{tenant}/{snapshot_id}.json` is written once and never changed;
`current.json` beside it changes in one atomic step, after the manifest is durable. A reader
follows the pointer and so sees the old snapshot or the new one. Killed in between, a manifest is
left that is listed and was never current; the next run publishes again.

Everything is read from Delta logs and two tables of one row per tenant: no example is touched.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.objects import ObjectFolder, open_folder
from lakehouse.training.manifest import (
    PINNED_TABLES,
    TRAINING_DATA,
    Column,
    Counts,
    Manifest,
    Parameters,
    TableVersion,
    make_snapshot_id,
)

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakehouse.settings import LakeSettings

FOLDER: Final = "training_sets"
CONTENTS: Final = "training.training_contents"
COUNTS: Final = "training.training_counts"

_POINTER: Final = "current.json"
_SNAPSHOT_ID: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_WATERMARK: Final = "eta.watermark."
_PARAMETERS: Final = "eta.parameters"


def publish(
    settings: LakeSettings, tenant_id: str, *, gate: Mapping[str, Any] | None, now: datetime
) -> Manifest:
    """Make the tenant's present training set its current snapshot; return the manifest.

    With the content and the parameters of the current snapshot nothing is written and that one is
    returned, so it is safe to repeat. Raises `EtaError` when there is no training set, or when
    its tables do not agree (a build was killed, or is running).
    """
    found = candidates(settings, now, [tenant_id]).get(tenant_id)
    if found is None:
        raise EtaError(
            f"tenant {tenant_id} has no training set",
            remedy="upload interactions for it, then run `eta prepare`",
        )
    return publish_candidate(settings, found, gate=gate)


def publish_candidate(
    settings: LakeSettings, candidate: Manifest, *, gate: Mapping[str, Any] | None
) -> Manifest:
    """Publish a candidate, unless the current snapshot has its content: then return that."""
    current = current_snapshot(settings, candidate.tenant_id)
    if current is not None and current.has_content_of(candidate):
        return current
    published = candidate.model_copy(update={"gate": gate})
    folder = _folder(settings, published.tenant_id)
    folder.write(f"{published.snapshot_id}.json", to_json(published))
    pointer = {"snapshot_id": published.snapshot_id}
    folder.write(_POINTER, f"{json.dumps(pointer)}\n".encode())
    return published


def candidates(
    settings: LakeSettings, now: datetime, tenant_ids: Collection[str] | None = None
) -> dict[str, Manifest]:
    """Return what would be published now, by tenant: those of `tenant_ids` (all) with examples.

    Costs the same for one tenant and for all. Raises `EtaError` when the tables do not agree.
    """
    tables = {name: _open(settings, name) for name in (*PINNED_TABLES, CONTENTS, COUNTS)}
    data, contents = tables[TRAINING_DATA], tables[CONTENTS]
    built = _built_with(data)
    if built != _built_with(contents):
        raise _disagreement()
    shared = _Shared(
        pinned={
            name: TableVersion(location=_path(name), version=tables[name].version())
            for name in PINNED_TABLES
        },
        source_versions=built.source_versions,
        cutoff=built.cutoff,
        columns=_columns(data),
        code_version=code_version(settings.project_dir),
        now=now,
    )
    rows = _rows_by_tenant(data)
    counts = {row["tenant_id"]: row for row in tables[COUNTS].to_pyarrow_table().to_pylist()}
    found: dict[str, Manifest] = {}
    for row in contents.to_pyarrow_table().to_pylist():
        tenant_id = row["tenant_id"]
        if tenant_ids is not None and tenant_id not in tenant_ids:
            continue
        if row["example_count"] != rows[tenant_id] or tenant_id not in counts:
            raise _disagreement()
        found[tenant_id] = _manifest(shared, row, counts[tenant_id])
    return found


def is_newest(settings: LakeSettings, candidate: Manifest) -> bool:
    """Whether the training data still stands at the version of the candidate."""
    return _open(settings, TRAINING_DATA).version() == candidate.training_data.version


def current_snapshot(settings: LakeSettings, tenant_id: str) -> Manifest | None:
    """Return the tenant's current snapshot, None before the first."""
    pointer = _folder(settings, tenant_id).read(_POINTER)
    if pointer is None:
        return None
    return read_snapshot(settings, tenant_id, json.loads(pointer)["snapshot_id"])


def read_snapshot(settings: LakeSettings, tenant_id: str, snapshot_id: str) -> Manifest:
    """Return a snapshot; raise `EtaError` when the tenant has none of that id."""
    is_id = _SNAPSHOT_ID.fullmatch(snapshot_id) is not None
    found = _folder(settings, tenant_id).read(f"{snapshot_id}.json") if is_id else None
    if found is None:
        raise EtaError(
            f"tenant {tenant_id} has no snapshot of that id",
            remedy=f"see its snapshots with `eta training list --tenant {tenant_id}`",
        )
    return Manifest.model_validate_json(found)


def find_snapshot(settings: LakeSettings, tenant_id: str, snapshot_id: str) -> Manifest:
    """Return a snapshot by its id or by the word `current`; raise `EtaError` without it."""
    if snapshot_id != "current":
        return read_snapshot(settings, tenant_id, snapshot_id)
    found = current_snapshot(settings, tenant_id)
    if found is None:
        raise EtaError(
            f"nothing is published for tenant {tenant_id}",
            remedy="run `eta prepare`; `eta training list` shows what there is",
        )
    return found


def published_tenants(settings: LakeSettings) -> list[str]:
    """Return the ids of the tenants that have published anything."""
    return open_folder(settings, FOLDER).folders()


def pinned_versions(settings: LakeSettings) -> dict[str, set[int]]:
    """Return the table versions that snapshots pin, by location: a vacuum has to spare them."""
    pinned: dict[str, set[int]] = {}
    for tenant_id in published_tenants(settings):
        for manifest in list_snapshots(settings, tenant_id):
            for table in manifest.pinned.values():
                pinned.setdefault(table.location, set()).add(table.version)
    return pinned


def list_snapshots(settings: LakeSettings, tenant_id: str) -> list[Manifest]:
    """Return all snapshots of a tenant, oldest first."""
    names = _folder(settings, tenant_id).names("")
    identifiers = [name.removesuffix(".json") for name in names if name != _POINTER]
    return [read_snapshot(settings, tenant_id, found) for found in identifiers]


def to_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored: JSON, indented, one newline at the end."""
    return (manifest.model_dump_json(indent=2) + "\n").encode()


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
class _BuiltWith:
    source_versions: Mapping[str, int]
    parameters: str | None

    @property
    def cutoff(self) -> str | None:
        cutoff = json.loads(self.parameters or "{}").get("cutoff")
        return None if cutoff in (None, "None") else str(cutoff)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the manifests of one moment have in common."""

    pinned: Mapping[str, TableVersion]
    source_versions: Mapping[str, int]
    cutoff: str | None
    columns: tuple[Column, ...]
    code_version: str
    now: datetime


def _manifest(shared: _Shared, row: Mapping[str, Any], counted: Mapping[str, Any]) -> Manifest:
    counts = Counts(
        positives=row["positive_count"],
        sampled_negatives=row["sampled_negative_count"],
        explicit_negatives=row["explicit_negative_count"],
        shortfall=counted["shortfall_count"],
        positives_without_negatives=counted["positives_without_negatives_count"],
        liked_and_disliked=counted["liked_and_disliked_count"],
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
        ),
        counts=counts,
        label_balance=counts.positives / counts.rows,
        content_hash=row["content_hash"],
        columns=shared.columns,
        code_version=shared.code_version,
    )


def _open(settings: LakeSettings, table: str) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    location = f"{settings.lake}/{_path(table)}"
    try:
        return DeltaTable(location, storage_options=settings.storage_options)
    except TableNotFoundError as error:
        raise EtaError(f"{table} does not exist yet", remedy="run `eta prepare`") from error


def _path(table: str) -> str:
    return table.replace(".", "/")


def _built_with(table: DeltaTable) -> _BuiltWith:
    properties = table.metadata().configuration
    return _BuiltWith(
        {
            name.removeprefix(_WATERMARK): int(value)
            for name, value in sorted(properties.items())
            if name.startswith(_WATERMARK)
        },
        properties.get(_PARAMETERS),
    )


def _columns(table: DeltaTable) -> tuple[Column, ...]:
    fields = table.schema().fields
    return tuple(Column(name=field.name, type=str(field.type.type)) for field in fields)


def _rows_by_tenant(table: DeltaTable) -> Counter[str]:
    rows: Counter[str] = Counter()
    actions = table.get_add_actions(flatten=True)
    tenants = actions["partition.tenant_id"].to_pylist()
    for tenant_id, count in zip(tenants, actions["num_records"].to_pylist(), strict=True):
        rows[tenant_id] += count
    return rows


def _folder(settings: LakeSettings, tenant_id: str) -> ObjectFolder:
    return open_folder(settings, f"{FOLDER}/{check_tenant_id(tenant_id)}")


def _disagreement() -> EtaError:
    return EtaError(
        "the training tables are of different runs: one was interrupted, or is running now",
        remedy="run `eta prepare` when no other run is going on",
    )
