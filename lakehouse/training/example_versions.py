"""Whether two snapshots have the same examples: features, context and histories of their rows.

The content hash is over labels and draws alone. A catalogue row that came late, or another setting,
changes what an example says of its item and no label, and such a set has to be published anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deltalake import DeltaTable

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest, Part
from lakehouse.training.rows import tenant_batches


@dataclass(slots=True)
class TenantFiles:
    """A tenant's data files of a table: what the log says of each, and their bytes together."""

    said: list[str] = field(default_factory=list)
    bytes: int = 0


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


def parts_of(
    tenant_id: str,
    files: Mapping[str, Mapping[str, TenantFiles]],
    rows: Mapping[str, Counter[str]],
) -> dict[str, Part]:
    """Return a tenant's part of each table: `files` and `rows` by table, then by tenant."""
    found = {}
    for table, by_tenant in files.items():
        mine = by_tenant.get(tenant_id, TenantFiles())
        found[table] = Part(
            rows=rows[table][tenant_id],
            files=len(mine.said),
            bytes=mine.bytes,
            files_hash=files_hash([mine]),
        )
    return found


def have_the_same_examples(lake: Lake, held: Manifest, candidate: Manifest) -> bool:
    """Whether both pin the same rows of examples and histories.

    The rows are read, of this one tenant, only where its files are others. False if one of them
    pins none, or versions that are gone.
    """
    if held.example_files is None or candidate.example_files is None:
        return False
    if held.example_files == candidate.example_files:
        return True
    try:
        return all(
            _content(lake, held, table) == _content(lake, candidate, table)
            for table in (EXAMPLES, HISTORIES)
        )
    except EtaError:
        return False


def _content(lake: Lake, manifest: Manifest, table: str) -> tuple[int, int, int]:
    """Return the number of the tenant's rows, and two sums over hashes of them."""
    rows = first = second = 0
    for frame in tenant_batches(lake, manifest, table):
        by_name = frame.select(sorted(frame.columns))
        rows += frame.height
        first += sum(by_name.hash_rows(seed=1))
        second += sum(by_name.hash_rows(seed=2))
    return rows, first, second
