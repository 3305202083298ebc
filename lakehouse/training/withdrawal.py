"""Withdraws the published snapshots whose rows an erasure has taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import Manifest
from lakehouse.training.pinned import has_files
from lakehouse.training.snapshots import EVALUATION_SETS, TRAINING_SETS, Snapshots

_KINDS: Final[tuple[Snapshots[Any], ...]] = (TRAINING_SETS, EVALUATION_SETS)


def withdraw_broken(lake: Lake, tenant_id: str, now: datetime) -> list[str]:
    """Withdraw a tenant's snapshots of which a data file is gone; return their ids.

    Safe to repeat. The current one is withdrawn as well: publish anew afterwards.
    """
    withdrawn = []
    for kind in _KINDS:
        if tenant_id not in kind.tenants(lake):
            continue
        for manifest in kind.all_of(lake, tenant_id):
            if manifest.withdrawn_at is None and _is_broken(lake, manifest):
                kind.withdraw(lake, manifest, now)
                withdrawn.append(manifest.snapshot_id)
    return withdrawn


def _is_broken(lake: Lake, manifest: Manifest) -> bool:
    return not all(has_files(lake, manifest, name) for name in manifest.pinned)
