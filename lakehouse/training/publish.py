"""Publishes training sets: a manifest file per snapshot and one pointer to the current one.

`{lake}/training_sets/{tenant}/{snapshot_id}.json` is written once and never changed;
`current.json` beside it changes in one atomic step, after the manifest is durable. A reader
follows the pointer and so sees the old snapshot or the new one. Killed in between, a manifest is
left that is listed and was never current; the next run publishes again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.objects import ObjectFolder, open_folder
from lakehouse.training.candidates import candidates
from lakehouse.training.manifest import Manifest

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

FOLDER: Final = "training_sets"

_POINTER: Final = "current.json"
_SNAPSHOT_ID: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")


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


def _folder(settings: LakeSettings, tenant_id: str) -> ObjectFolder:
    return open_folder(settings, f"{FOLDER}/{check_tenant_id(tenant_id)}")
