"""Whether two snapshots have the same examples: features, context and histories of their rows.

The content hash is over labels and draws alone. A catalogue row that came late, or another setting,
changes what an example says of its item and no label, and such a set has to be published anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest, Part
from lakehouse.training.pinned import TenantFiles, files_hash
from lakehouse.training.rows import tenant_batches


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
    try:
        return compare_examples(lake, held, candidate)
    except EtaError:
        return False


def compare_examples(lake: Lake, held: Manifest, candidate: Manifest) -> bool:
    """Whether two sets that pin examples pin the same rows; raises `EtaError` when some are gone.

    Rows of the same files are not read, and need not be there any more.
    """
    return held.example_files == candidate.example_files or all(
        _content(lake, held, table) == _content(lake, candidate, table)
        for table in (EXAMPLES, HISTORIES)
    )


def _content(lake: Lake, manifest: Manifest, table: str) -> tuple[int, int, int]:
    """Return the number of the tenant's rows, and two sums over hashes of them."""
    rows = first = second = 0
    for frame in tenant_batches(lake, manifest, table):
        by_name = frame.select(sorted(frame.columns))
        rows += frame.height
        first += sum(by_name.hash_rows(seed=1))
        second += sum(by_name.hash_rows(seed=2))
    return rows, first, second
