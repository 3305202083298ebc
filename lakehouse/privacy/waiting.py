"""What an erasure waits for, said so that somebody can do something about it."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.errors import EtaError
from lakehouse.privacy.derived import tables_with_renamed_columns, tables_without_tenants
from lakehouse.privacy.verify import Search, summary
from lakehouse.storage.lake import Lake


class WaitingError(EtaError):
    """An erasure cannot go on now; the next worker tries again."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "; ".join(reasons), remedy="`eta privacy work`, once an hour, goes on with it"
        )
        self.reasons = tuple(reasons)


def refuse_unsearchable(lake: Lake) -> None:
    """Raise `WaitingError` while a table with people has files that no search can read."""
    renamed = tables_with_renamed_columns(lake)
    if renamed:
        raise WaitingError(
            [
                f"{name} has people and files with other names of columns, which cannot be "
                "searched: create it again without delta.columnMapping.mode, or drop it"
                for name in renamed
            ]
        )


def still_found(lake: Lake, found: Search) -> list[str]:
    """Return where people stand although everything was done, and what to do about it."""
    texts = [f"{one['kind']}: {one['path']} ({one['how']})" for one in summary(found.findings)]
    more = [f"and {len(texts) - 5} more places"] if len(texts) > 5 else []
    tables = {(one.table or "").replace("/", ".", 1) for one in found.findings}
    unknown = [
        f"{name} has people and no column tenant_id, so no erasure can tell whose they are: give "
        "it one, or drop it"
        for name in tables_without_tenants(lake)
        if name in tables
    ]
    todo = ["take these rows or files away by hand, then run `eta privacy work`"]
    return [f"still found in {text}" for text in texts[:5]] + more + unknown + todo
