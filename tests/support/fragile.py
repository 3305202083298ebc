"""Table handles that break at their n-th call and stay broken, as a real one may."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from deltalake import DeltaTable

from ingest_service.sinks import handles
from lakehouse.contracts.tables import TableSpec
from lakehouse.settings import LakeSettings
from lakehouse.storage.tables import table_location

CALLS = frozenset(
    {
        "create_write_transaction",
        "delete",
        "get_add_actions",
        "schema",
        "table_uri",
        "transaction_version",
        "update_incremental",
        "version",
    }
)


class PanicException(BaseException):
    """Stands for a panic of delta-rs, which is no `Exception`."""


@dataclass
class Fuse:
    """When a call is to fail, and what failed; `calls` counts those of all handles."""

    at: int = 0
    error: type[BaseException] = OSError
    calls: int = 0
    broken: dict[int, DeltaTable] = field(default_factory=dict)

    def touch(self, handle: DeltaTable) -> None:
        """Count a call; raise when it is its turn, or when the handle broke before."""
        if id(handle) in self.broken:
            raise self.error("the handle is broken")
        self.calls += 1
        if self.calls == self.at:
            self.broken[id(handle)] = handle
            raise self.error("the handle broke")


@contextmanager
def fragile_handles(monkeypatch: pytest.MonkeyPatch, fuse: Fuse) -> Iterator[None]:
    """Let every handle that a sink opens be one that obeys the fuse."""

    class Fragile(DeltaTable):
        def __getattribute__(self, name: str) -> Any:
            if name in CALLS:
                fuse.touch(self)
            return super().__getattribute__(name)

    def opened(settings: LakeSettings, spec: TableSpec) -> DeltaTable:
        return Fragile(table_location(settings, spec))

    with monkeypatch.context() as patched:
        patched.setattr(handles, "open_table", opened)
        yield
