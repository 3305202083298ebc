"""Opens what a snapshot pins: that table at that version, with the files that were pinned.

A version number alone names nothing. A table that was dropped and built again counts from 0, and
one that was put back from a backup counts on from there: the same number then stands for other
rows. So the table's id is compared, and the tenant's files with what the manifest says of them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.storage.stores import table_filesystem
from lakehouse.training.manifest import EvaluationManifest, Manifest, TableVersion
from lakehouse.training.tables import path_of


@dataclass(slots=True)
class TenantFiles:
    """A tenant's data files of a table: what the log says of each, and their bytes together."""

    said: list[str] = field(default_factory=list)
    bytes: int = 0


def pin(name: str, table: DeltaTable) -> TableVersion:
    """Return what pins a table as it is opened."""
    return TableVersion(
        location=path_of(name), version=table.version(), table_id=str(table.metadata().id)
    )


def open_pinned(lake: Lake, manifest: Manifest, name: str) -> DeltaTable:
    """Return a handle on a table at the version that a snapshot pins; reads its log alone.

    Raises `EtaError`, which says why, when the version is not there any more, or the table or the
    tenant's files in it are others. Whether the files are still there is seen when they are read.
    """
    refuse_withdrawn(manifest)
    pinned = manifest.pinned[name]
    try:
        table = lake.table(pinned.location, pinned.version)
    except DeltaError as error:
        is_there = lake.find(pinned.location) is not None
        why = f"the log of {name} does not have version {pinned.version}"
        raise gone(manifest, why if is_there else f"there is no table {name}") from error
    if pinned.table_id not in (None, str(table.metadata().id)):
        raise gone(manifest, f"{name} was dropped and built again")
    part = (manifest.parts or {}).get(name)
    if part is not None and part.files_hash != _hash_of_files(table, manifest.tenant_id):
        why = f"version {pinned.version} of {name} has other files: the table was put back"
        raise gone(manifest, why)
    return table


def is_kept(
    lake: Lake, held: Manifest, candidate: Manifest, entries: dict[str, bool] | None = None
) -> bool:
    """Whether all that a snapshot pins can still be read, of which `candidate` is the newest.

    Where the tenant's files are those of the candidate, which are there, only the log's entry is
    looked for: most tenants did not change. Else the log is read, and each file looked for.
    `entries` are those of logs that were looked for before, and are there or not: of a thousand
    tenants most pin the same few.
    """
    if held.withdrawn_at is not None:
        return False
    same = {name for name in held.pinned if _has_the_same_files(held, candidate, name)}
    pinned = [held.pinned[name] for name in same]
    wanted = [f"{one.location}/_delta_log/{one.version:020}.json" for one in pinned]
    known = {} if entries is None else entries
    if new := [entry for entry in wanted if entry not in known]:
        found = lake.filesystem().get_file_info(new)
        for entry, info in zip(new, found, strict=True):
            known[entry] = info.type is pafs.FileType.File
    return all(known[entry] for entry in wanted) and all(
        has_files(lake, held, name) for name in held.pinned if name not in same
    )


def _has_the_same_files(held: Manifest, candidate: Manifest, name: str) -> bool:
    """Whether both name the same files of the same table; False where a manifest does not say."""
    before, now = held.pinned[name], candidate.pinned.get(name)
    if now is None or before.table_id is None or before.table_id != now.table_id:
        return False
    parts = [(one.parts or {}).get(name) for one in (held, candidate)]
    hashes = [None if part is None else part.files_hash for part in parts]
    return before.version == now.version or (hashes[0] is not None and hashes[0] == hashes[1])


def has_files(lake: Lake, manifest: Manifest, name: str) -> bool:
    """Whether a pinned version can be opened and each of the tenant's files in it is there."""
    try:
        table = open_pinned(lake, manifest, name)
    except EtaError:
        return False
    paths = _paths(table, manifest.tenant_id)
    found = table_filesystem(table).get_file_info(paths) if paths else []
    return all(info.type is pafs.FileType.File for info in found)


def files_by_tenant(table: DeltaTable) -> dict[str, TenantFiles]:
    """Return each tenant's data files of a table; none of them is opened.

    delta-rs does not tell here which rows of a file are hidden: a set that only lost rows has the
    same files, and other counts and another content hash.
    """
    found: defaultdict[str, TenantFiles] = defaultdict(TenantFiles)
    actions = table.get_add_actions(flatten=True)
    names = ("partition.tenant_id", "size_bytes", "path")
    for tenant_id, size, path in zip(*(actions[name].to_pylist() for name in names), strict=True):
        found[tenant_id].said.append(repr([path]))
        found[tenant_id].bytes += size
    return found


def files_hash(files: Iterable[TenantFiles]) -> str:
    """Return a hash over the files of one tenant."""
    said = sorted(text for one in files for text in one.said)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _hash_of_files(table: DeltaTable, tenant_id: str) -> str:
    return files_hash([TenantFiles([repr([path]) for path in _paths(table, tenant_id)])])


def _paths(table: DeltaTable, tenant_id: str) -> list[str]:
    actions = table.get_add_actions(flatten=True)
    tenants = actions["partition.tenant_id"].to_pylist()
    paths = actions["path"].to_pylist()
    return [path for path, tenant in zip(paths, tenants, strict=True) if tenant == tenant_id]


def refuse_withdrawn(manifest: Manifest) -> None:
    """Raise `EtaError` for a snapshot that an erasure has taken rows of."""
    if manifest.withdrawn_at is not None:
        raise EtaError(
            f"snapshot {manifest.snapshot_id} was withdrawn on {manifest.withdrawn_at:%Y-%m-%d}: "
            "somebody was erased whose rows it held",
            remedy=f"use the current one, see `{manifest.command} list`",
        )


def gone(manifest: Manifest, why: str) -> EtaError:
    """Return the error of a snapshot whose rows are not there any more, and why."""
    is_evaluation = isinstance(manifest, EvaluationManifest)
    tenant = f"--tenant {manifest.tenant_id}"
    again = f"eta evaluation make {tenant}" if is_evaluation else "eta prepare"
    return EtaError(
        f"the rows of snapshot {manifest.snapshot_id} are not kept any more: {why}",
        remedy=f"`{again}` publishes the current one again where its rows are gone; "
        f"`{manifest.command} list {tenant}` shows the others",
    )


def vacuumed(manifest: Manifest, name: str) -> EtaError:
    """Return the error of a snapshot whose data files in a table were deleted."""
    return gone(manifest, f"a vacuum deleted data files of {name}")
