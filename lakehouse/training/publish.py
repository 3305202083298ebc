"""Publishes training sets, and says which table versions any published snapshot needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.candidates import candidates
from lakehouse.training.example_versions import have_the_same_examples
from lakehouse.training.manifest import Manifest
from lakehouse.training.pinned import is_kept
from lakehouse.training.snapshots import EVALUATION_SETS, TRAINING_SETS, Snapshots
from lakehouse.training.snapshots import to_json as to_json

if TYPE_CHECKING:
    from lakehouse.settings import LakeSettings

FOLDER: Final = TRAINING_SETS.folder


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
    return publish_candidate(Lake(settings), found, gate=gate)


def publish_candidate(
    lake: Lake, candidate: Manifest, *, gate: Mapping[str, Any] | None
) -> Manifest:
    """Publish a candidate, unless the current snapshot is the same: then return that."""
    judged = candidate.model_copy(update={"gate": gate})
    return TRAINING_SETS.publish(lake, judged, partial(is_same_set, lake))


def is_same_set(
    lake: Lake, held: Manifest, candidate: Manifest, entries: dict[str, bool] | None = None
) -> bool:
    """Whether both have the same rows, made with the same parameters, and say the same of them.

    `entries`: see `is_kept`; for who compares many.
    """
    return (
        held.has_content_of(candidate)
        and is_kept(lake, held, candidate, entries)
        and have_the_same_examples(lake, held, candidate)
    )


def current_snapshot(lake: Lake, tenant_id: str) -> Manifest | None:
    """Return the tenant's current snapshot, None before the first."""
    return TRAINING_SETS.current(lake, tenant_id)


def read_snapshot(lake: Lake, tenant_id: str, snapshot_id: str) -> Manifest:
    """Return a snapshot; raise `EtaError` when the tenant has none of that id."""
    return TRAINING_SETS.read(lake, tenant_id, snapshot_id)


def find_snapshot(lake: Lake, tenant_id: str, snapshot_id: str) -> Manifest:
    """Return a snapshot by its id or by the word `current`; raise `EtaError` without it."""
    return TRAINING_SETS.find(lake, tenant_id, snapshot_id)


def published_tenants(lake: Lake) -> list[str]:
    """Return the ids of the tenants that have published a training set."""
    return TRAINING_SETS.tenants(lake)


def list_snapshots(lake: Lake, tenant_id: str) -> list[Manifest]:
    """Return all snapshots of a tenant, oldest first."""
    return TRAINING_SETS.all_of(lake, tenant_id)


def pinned_versions(lake: Lake) -> dict[str, set[int]]:
    """Return the table versions that snapshots pin, by location: a vacuum has to spare them.

    Those of training sets and those of evaluation snapshots.
    """
    pinned: dict[str, set[int]] = {}
    for manifest in [*_all(TRAINING_SETS, lake), *_all(EVALUATION_SETS, lake)]:
        if manifest.withdrawn_at is not None:
            continue
        for table in manifest.pinned.values():
            pinned.setdefault(table.location, set()).add(table.version)
    return pinned


def _all(snapshots: Snapshots[Any], lake: Lake) -> list[Manifest]:
    found: list[Manifest] = []
    for tenant_id in snapshots.tenants(lake):
        found += snapshots.all_of(lake, tenant_id)
    return found
