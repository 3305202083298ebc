"""One open handle per table, thrown away at the first error, so that none stays broken.

A handle that an error left half updated answers every later question wrongly or not at all. So
whatever goes wrong with one, the next use opens the table again.
"""

from typing import Final

from deltalake import DeltaTable

from lakehouse.contracts.tables import TableSpec
from lakehouse.storage.damage import DamagedError, log_damage
from lakehouse.storage.faults import fault_of, is_fault, storage_error
from lakehouse.storage.lake import Lake

TRIES: Final = 2
"""How often a question is asked: once as it comes, once on a handle that was opened anew."""


class TableHandles:
    """The handles of a process; callers take turns."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._open: dict[str, DeltaTable] = {}

    def newest(self, spec: TableSpec) -> DeltaTable:
        """Return a handle on the newest version; raises `StorageError` when there is no way to."""
        handle = self._open.get(spec.full_name)
        if handle is not None:
            try:
                handle.update_incremental()
            except BaseException as error:
                self.drop(spec)
                if not is_fault(error):
                    raise
            else:
                return handle
        return self._opened(spec)

    def as_it_is(self, spec: TableSpec) -> DeltaTable:
        """Return a handle without looking for newer versions."""
        return self._open.get(spec.full_name) or self._opened(spec)

    def drop(self, spec: TableSpec, handle: DeltaTable | None = None) -> None:
        """Forget a table's handle; with `handle` only if it still is this one."""
        if handle is None or self._open.get(spec.full_name) is handle:
            self._open.pop(spec.full_name, None)

    def drop_all(self) -> None:
        """Forget every handle."""
        self._open.clear()

    def _opened(self, spec: TableSpec) -> DeltaTable:
        try:
            handle = self._lake.table(spec)
        except BaseException as error:
            if not is_fault(error):
                raise
            if isinstance(error, Exception) and fault_of(error) is None:
                raise DamagedError(log_damage(self._lake, spec, error)) from error
            raise storage_error(error, spec.full_name) from error
        self._open[spec.full_name] = handle
        return handle
