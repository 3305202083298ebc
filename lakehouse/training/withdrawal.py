"""Withdraws the published snapshots whose rows an erasure has taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pyarrow.fs as pafs
from deltalake.exceptions import DeltaError

from lakehouse.storage.lake import Lake
from lakehouse.storage.stores import table_filesystem
from lakehouse.training.manifest import Manifest
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
    for pinned in manifest.pinned.values():
        try:
            table = lake.table(pinned.location, pinned.version)
        except DeltaError:  # its log was shortened
            return True
        files = table.get_add_actions(flatten=True)
        tenants = files["partition.tenant_id"].to_pylist()
        paths = [
            path
            for path, tenant in zip(files["path"].to_pylist(), tenants, strict=True)
            if tenant == manifest.tenant_id
        ]
        found = table_filesystem(table).get_file_info(paths) if paths else []
        if any(info.type is not pafs.FileType.File for info in found):
            return True
    return False
