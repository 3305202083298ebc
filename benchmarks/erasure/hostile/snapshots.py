"""Published snapshots, read from outside: manifests by `json`, rows of the pinned versions."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.erasure.hostile.reading import Home, row_hash

Rows = dict[str, Counter[str]]


def manifests(home: Home, tenant_id: str) -> Iterator[dict[str, Any]]:
    """Yield the manifests of a tenant's snapshots."""
    folder = home.lake / "training_sets" / tenant_id
    for path in sorted(folder.glob("*.json")):
        if path.name != "current.json":
            yield json.loads(path.read_text())


def pinned_rows(home: Home, tenant_id: str) -> Rows:
    """Return hashes of the rows that each snapshot pins, by snapshot and table.

    Raises when one cannot be read.
    """
    return {
        f"{manifest['snapshot_id']} {name}": Counter(map(row_hash, _rows(home, tenant_id, pin)))
        for manifest in manifests(home, tenant_id)
        for name, pin in manifest["pinned"].items()
    }


def changed(home: Home, tenant_id: str, before: Rows) -> Iterator[str]:
    """Yield what is wrong with snapshots of a tenant that nothing was erased of."""
    for manifest in manifests(home, tenant_id):
        if manifest.get("withdrawn_at"):
            yield f"{manifest['snapshot_id']} was withdrawn"
    try:
        now = pinned_rows(home, tenant_id)
    except Exception as error:  # noqa: BLE001 - whatever the reader says, it cannot read
        yield f"a snapshot cannot be read: {type(error).__name__}"
        return
    for name, rows in before.items():
        if now.get(name) != rows:
            yield f"{name} has other rows"


def not_cleaned(home: Home, tenant_id: str, leaving: set[str], listed: str) -> Iterator[str]:
    """Yield what is wrong with snapshots of a tenant whose people were erased.

    One is marked withdrawn, and `listed` (what `eta training list` prints) says so, or its rows
    can be read and name nobody who leaves.
    """
    for manifest in manifests(home, tenant_id):
        name = manifest["snapshot_id"]
        if manifest.get("withdrawn_at"):
            line = next((one for one in listed.splitlines() if name in one), "")
            if manifest["withdrawn_at"][:10] not in line:
                yield f"{name} is withdrawn, and `eta training list` does not say so"
            continue
        for table, pin in manifest["pinned"].items():
            try:
                rows = _rows(home, tenant_id, pin)
            except Exception as error:  # noqa: BLE001 - whatever the reader says
                yield f"{name} {table} cannot be read: {type(error).__name__}"
                break
            if any(home.identities(row) & leaving for row in rows):
                yield f"{name} {table} has rows of the erased"


def _rows(home: Home, tenant_id: str, pin: Mapping[str, Any]) -> list[dict[str, Any]]:
    return home.rows_at(pin["location"], pin["version"], tenant_id)
