"""Table handles that break at their n-th call and stay broken, as a real one may."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from deltalake import DeltaTable

from ingest_service.sinks import delta
from ingest_service.sinks.handles import TableHandles
from lakehouse.storage.lake import Lake

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

    def fragile(lake: Lake) -> TableHandles:
        fragile_lake = copy(lake)
        fragile_lake.table = lambda spec: Fragile(lake.location(spec))
        return TableHandles(fragile_lake)

    with monkeypatch.context() as patched:
        patched.setattr(delta, "TableHandles", fragile)
        yield
