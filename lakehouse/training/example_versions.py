"""Whether two snapshots have the same examples: features, context and histories of their rows.

The content hash is over labels and draws alone. A catalogue row that came late, or another setting,
changes what an example says of its item and no label, and such a set has to be published anew.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from deltalake import DeltaTable

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.manifest import EXAMPLES, HISTORIES, Manifest
from lakehouse.training.rows import tenant_batches


def files_by_tenant(tables: Iterable[DeltaTable]) -> dict[str, str]:
    """Return a hash over each tenant's data files of the tables; no data file is opened."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for table in tables:
        actions = table.get_add_actions(flatten=True)
        # a deletion vector hides rows of a file that stays
        names = [name for name in actions.schema.names if name.startswith("deletion")]
        columns = [actions[name].to_pylist() for name in ("path", *names)]
        tenants = actions["partition.tenant_id"].to_pylist()
        for tenant_id, *file in zip(tenants, *columns, strict=True):
            found[tenant_id].append(repr(file))
    return {
        tenant_id: hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()[:32]
        for tenant_id, files in found.items()
    }


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
