"""What two snapshots' versions of a table do not share: rows to read, found in the logs alone.

A data file never changes, so a file that both versions name holds the same rows in both, but for
those that a deletion vector hides in one of them. Only the other rows need be read: cost follows
the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.storage.lake import Lake
from lakehouse.storage.stores import table_filesystem
from lakehouse.training.manifest import Manifest
from lakehouse.training.pinned import open_pinned, vacuumed
from lakehouse.training.rows import BATCH_ROWS

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Bits:
    """Which rows of a file count, a bit for each: a table may have as many as it has rows."""

    def __init__(self, mask: Mask) -> None:
        self._packed = np.packbits(mask)
        self.size = mask.size

    def unpacked(self, start: int, rows: int, *, rest: bool) -> Mask:
        """Return the bits of `rows` rows from `start` on; of those after the end `rest`."""
        first = start // 8
        bits = np.unpackbits(self._packed[first : (start + rows) // 8 + 1])
        held = max(0, min(rows, self.size - start))
        found = bits[start - 8 * first :][:held].astype(np.bool_)
        return np.pad(found, (0, rows - held), constant_values=rest)


_NO_BITS: Final = Bits(np.ones(0, dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of a data file: those that `mask` keeps, by position; `rest`: and all after its end."""

    path: str
    mask: Bits
    rest: bool

    def kept(self, start: int, rows: int) -> Mask:
        """Return which of `rows` rows from position `start` on are meant."""
        return self.mask.unpacked(start, rows, rest=self.rest)


class FileRows:
    """One tenant's rows of some data files of a snapshot's version of a table."""

    def __init__(self, of: TenantFiles, parts: Sequence[_Part]) -> None:
        self._manifest = of.manifest
        self._name = of.name
        self._table = of.table
        self._parts = parts
        self._files = table_filesystem(of.table)

    @property
    def file_count(self) -> int:
        """Data files that have such rows."""
        return len(self._parts)

    def row_count(self) -> int:
        """Return how many rows there are; reads the ends of the files. For errors see `batches`."""
        with _reading(self._manifest, self._name):
            return sum(
                int(part.kept(0, self._open(part).metadata.num_rows).sum()) for part in self._parts
            )

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield these columns of the rows in frames of at most `BATCH_ROWS`, in no order.

        A column that a file or the version lacks is null. Row groups without such rows are not
        read. Raises `EtaError` when a file is gone.
        """
        held = pa.schema(self._table.schema().to_arrow())
        empty = pl.DataFrame(pa.schema([f for f in held if f.name in columns]).empty_table())
        for part in self._parts:
            with _reading(self._manifest, self._name):
                file = self._open(part)
                names = [name for name in columns if name in file.schema_arrow.names]
            start = 0
            for number in range(file.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                kept = part.kept(start, rows)
                start += rows
                if kept.any():
                    for frame in self._row_group(file, number, names, kept):
                        yield self._completed(frame, columns, empty.schema)

    def _row_group(
        self, file: pq.ParquetFile, number: int, names: list[str], kept: Mask
    ) -> Iterator[pl.DataFrame]:
        start = 0
        with _reading(self._manifest, self._name):
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[number], columns=names):
                frame = pl.DataFrame(pa.Table.from_batches([batch]))
                found = frame.filter(pl.Series(kept[start : start + batch.num_rows]))
                start += batch.num_rows
                if found.height:
                    yield found

    def _completed(
        self, frame: pl.DataFrame, columns: Sequence[str], types: pl.Schema
    ) -> pl.DataFrame:
        """Add what the path says, and columns of other releases; have the types of the version."""
        constants = {"tenant_id": self._manifest.tenant_id}
        added = {
            name: pl.lit(constants.get(name), types.get(name, pl.Null()))
            for name in columns
            if name not in frame.columns or name in constants
        }
        wanted: Any = {name: types[name] for name in columns if name in types}
        return frame.with_columns(**added).select(columns).cast(wanted)

    def _open(self, part: _Part) -> pq.ParquetFile:
        return pq.ParquetFile(
            self._files.open_input_file(part.path), coerce_int96_timestamp_unit="us"
        )


@dataclass(frozen=True, slots=True)
class TableChanges:
    """The rows of two versions of a table: of either alone, and of both."""

    base: FileRows
    """Rows of the older version in files, or places of a file, that the other one has not."""
    result: FileRows
    """The same of the newer one. A row that was only written again is in both."""
    shared: FileRows
    """Rows that stand in both versions at the same place."""


def changes(old: TenantFiles, new: TenantFiles) -> TableChanges:
    """Return what two versions of a table share of a tenant's rows, and what they do not."""
    alone: list[_Part] = []
    added: list[_Part] = []
    shared: list[_Part] = []
    for path in sorted({*old.masks, *new.masks}):
        if path not in new.masks:
            alone.append(_Part(path, old.masks[path], rest=True))
        elif path not in old.masks:
            added.append(_Part(path, new.masks[path], rest=True))
        else:
            rows = max(old.masks[path].size, new.masks[path].size)
            before, after = (v.masks[path].unpacked(0, rows, rest=True) for v in (old, new))
            shared.append(_Part(path, Bits(before & after), rest=True))
            for parts, mask in ((alone, before & ~after), (added, after & ~before)):
                if mask.any():
                    parts.append(_Part(path, Bits(mask), rest=False))
    return TableChanges(
        FileRows(old, alone),
        FileRows(new, added),
        FileRows(new, shared),
    )


class TenantFiles:
    """A snapshot's version of a table: its tenant's data files, and the rows that count in each.

    Reads the log and the deletion vectors. Raises `EtaError` when the version is gone, or the
    snapshot withdrawn.
    """

    def __init__(self, lake: Lake, manifest: Manifest, name: str) -> None:
        self.manifest = manifest
        self.name = name
        self.table = open_pinned(lake, manifest, name)
        with _reading(manifest, name):
            actions = self.table.get_add_actions(flatten=True)
            tenants = actions["partition.tenant_id"].to_pylist()
            self.masks: dict[str, Bits] = {
                unquote(path): _NO_BITS
                for path, tenant in zip(actions["path"].to_pylist(), tenants, strict=True)
                if tenant == manifest.tenant_id
            }
            for path, mask in _vectors(self.table, self.masks):
                self.masks[path] = Bits(mask)


def _vectors(table: DeltaTable, paths: Iterable[str]) -> Iterator[tuple[str, Mask]]:
    """Yield which rows of each of the files count that have a deletion vector."""
    root = unquote(table.table_uri).rstrip("/").rpartition("://")[2]
    found = pa.RecordBatchReader.from_stream(table.deletion_vectors())
    wanted = frozenset(paths)
    for batch in found:
        addresses = batch["filepath"].to_pylist()
        for address, vector in zip(addresses, batch["selection_vector"], strict=True):
            path = unquote(address).rpartition("://")[2].removeprefix(root).removeprefix("/")
            if path in wanted:
                yield path, vector.values.to_numpy(zero_copy_only=False)


@contextmanager
def _reading(manifest: Manifest, name: str) -> Iterator[None]:
    """Raise the error of a snapshot whose files are gone instead of the reader's."""
    try:
        yield
    except (DeltaError, FileNotFoundError) as error:
        raise vacuumed(manifest, name) from error
