"""The rows of a set as they lie in files: which there are, which count, and how they are read.

A file's row groups are read one after the other, in pieces, so memory does not grow with a row
group. Columns that stand in the names of folders, or in a table's log, are added to what is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pat
from numpy.typing import NDArray

from eta_data.errors import DamagedError, DataError
from eta_data.files import Folder
from eta_data.footers import footer_bytes, footer_digest, footer_metadata
from eta_data.memory import repeated, scalar, to_arrow, to_numpy
from eta_data.schema import as_type

FIRST_ROWS: Final = 8_192
PIECE_BYTES: Final = 16 * 1024 * 1024
"""What is decoded at a time, as far as the rows before tell; at first `FIRST_ROWS` rows.

Whole row groups where they fit: several that are decoded in turn, in pieces of 8,192 rows, took
half as long again, as each has dictionaries of its own, and an open one holds more than its rows.
"""


@dataclass(frozen=True, slots=True, eq=False)
class DataFile:
    """A Parquet file of the set."""

    name: str
    """Relative to the folder, with `/`."""
    row_groups: tuple[int, ...]
    """Rows of each row group, hidden ones included."""
    footer: str
    """A hash of the footer, as it was when the set was opened."""
    digest: str
    constants: tuple[tuple[str, Any], ...] = ()
    """Columns with one value for all rows of the file."""
    keep: NDArray[np.uint8] | None = None
    """A bit per row, the first row in the highest bit: whether the row counts. None: all do."""

    def kept(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """Return which of the rows from `start` to `stop` count, None when all do."""
        if self.keep is None:
            return None
        bits = np.unpackbits(self.keep[start // 8 : (stop + 7) // 8])
        return bits[start % 8 :][: stop - start].astype(np.bool_)


@dataclass(frozen=True, slots=True)
class Block:
    """A row group: `file` is the file's number, `first` its first row in the file."""

    file: int
    group: int
    first: int
    stop: int
    rows: int
    """Those that count."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSource:
    """Files of one set. A column of `schema` that a file lacks is null there."""

    folder: Folder
    files: tuple[DataFile, ...]
    schema: pa.Schema
    """Of the files and the constants, with plain types."""

    def blocks(self) -> list[Block]:
        """Return the row groups with rows that count, in order of file and place."""
        found = []
        for number, file in enumerate(self.files):
            first = 0
            for group, rows in enumerate(file.row_groups):
                kept = file.kept(first, first + rows)
                count = rows if kept is None else int(kept.sum())
                if count:
                    found.append(Block(number, group, first, first + rows, count))
                first += rows
        return found

    @property
    def rows(self) -> int:
        """Rows that count."""
        return sum(block.rows for block in self.blocks())

    @property
    def digest(self) -> str:
        """A hash of what the order of rows is made from: files, row groups and which rows count."""
        lines = [
            [
                file.name,
                file.row_groups,
                file.digest,
                [(name, _text(value)) for name, value in file.constants],
                None if file.keep is None else hashlib.sha256(file.keep.tobytes()).hexdigest(),
            ]
            for file in self.files
        ]
        return hashlib.sha256(json.dumps(lines).encode()).hexdigest()

    def columns(self, names: Sequence[str] | None) -> list[str]:
        """Return the columns asked for, all without a wish; refuse one that is not there."""
        if names is None:
            return list(self.schema.names)
        if isinstance(names, str):
            raise DataError(
                "columns is one text, not a list of names", remedy=f"say columns=[{names!r}]"
            )
        names = list(names)
        if missing := [name for name in names if name not in self.schema.names]:
            raise DataError(
                f"the data has no column {', '.join(map(str, missing))}",
                remedy=f"choose among {', '.join(self.schema.names)}",
            )
        return list(dict.fromkeys(names))

    def where(self, column: str, value: object) -> RowSource:
        """Return the source of the rows with a value in a column, None for those without one.

        Where files hold the column, it is read once, and a bit per row is kept.
        """
        self.columns([column])
        _refuse_value(column, self.schema.field(column).type, value)
        files = []
        reader = Reader(self, [column])
        for number, file in enumerate(self.files):
            constants = dict(file.constants)
            if column in constants:
                if constants[column] == value:
                    files.append(file)
                continue
            pieces = [
                _equals(piece.column(0), value)
                for block in replace(self, files=(file,)).blocks()
                for piece in reader.pieces(replace(block, file=number), hidden_too=True)
            ]
            found = np.concatenate(pieces) if pieces else np.zeros(0, np.bool_)
            files.append(replace(file, keep=np.packbits(_spread(file, found))))
        return replace(self, files=tuple(files))


def _spread(file: DataFile, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Put what was found in the blocks that were read in the places of the file's rows."""
    spread = np.zeros(sum(file.row_groups), np.bool_)
    place = first = 0
    for rows in file.row_groups:
        kept = file.kept(first, first + rows)
        if rows and (kept is None or kept.any()):
            piece = found[place : place + rows]
            spread[first : first + rows] = piece if kept is None else piece & kept
            place += rows
        first += rows
    return spread


@dataclass(frozen=True, slots=True)
class _Held:
    """The footer of a file that is the one the set was opened with; `mark` names its object."""

    metadata: pq.FileMetaData
    mark: object


class Reader:
    """Reads columns of a source; keeps the footers of the files it read last.

    A file whose footer is another than when the set was opened is refused, whenever it changed:
    rows of two files are not one order.
    """

    _FOOTERS: Final = 64

    def __init__(self, source: RowSource, columns: Sequence[str]) -> None:
        self._source = source
        self._columns = list(columns)
        self._footers: dict[int, _Held] = {}
        self._row_bytes = 0.0
        self._constants: dict[tuple[object, pa.DataType], pa.Array] = {}

    def pieces(
        self, block: Block, *, skip: int = 0, hidden_too: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a block that count, but the first `skip`, in order."""
        file = self._source.files[block.file]
        path = self._source.folder.below(file.name)
        place = block.first
        try:
            for decoded in self._decoded(block, path):
                count = decoded.num_rows
                kept = None if hidden_too else file.kept(place, place + count)
                place += count
                piece = decoded if kept is None or kept.all() else decoded.filter(to_arrow(kept))
                if skip >= piece.num_rows:
                    skip -= piece.num_rows
                    continue
                yield self._complete(piece.slice(skip), file)
                skip = 0
        except (OSError, pa.ArrowException, ValueError) as error:
            raise _unreadable(path, error) from error
        if place != block.stop:
            raise _unreadable(path, None)

    def _decoded(self, block: Block, path: str) -> Iterator[pa.RecordBatch]:
        folder = self._source.folder
        most = max(1, int(PIECE_BYTES / self._row_bytes)) if self._row_bytes else FIRST_ROWS
        rows = block.stop - block.first
        with (
            folder.files.open_input_file(path) as file,
            pq.ParquetFile(
                file,
                metadata=self._footer(block.file, file, path),
                coerce_int96_timestamp_unit="us",
                pre_buffer=not folder.is_local,
            ) as opened,
        ):
            names = opened.schema_arrow.names
            constants = dict(self._source.files[block.file].constants)
            columns = [name for name in self._columns if name in names and name not in constants]
            pieces = opened.iter_batches(
                min(rows, most), row_groups=[block.group], columns=columns, use_threads=False
            )
            if rows > most:
                yield from map(self._weighed, pieces)
                return
            whole = list(pieces)
        yield from map(self._weighed, whole)

    def _weighed(self, piece: pa.RecordBatch) -> pa.RecordBatch:
        self._row_bytes = max(1, piece.nbytes) / max(1, piece.num_rows)
        return piece

    def _footer(self, number: int, file: pa.NativeFile, path: str) -> pq.FileMetaData:
        """Return the footer of an open file; refuse one that was changed since the set was opened.

        A disk is asked for it each time, which costs next to nothing; an object store only for an
        object that is not known by its tag.
        """
        mark = None if self._source.folder.is_local else _mark(file)
        held = self._footers.get(number)
        if held is not None and mark is not None and held.mark == mark:
            return held.metadata
        content = footer_bytes(file)
        if footer_digest(content) != self._source.files[number].footer:
            raise DamagedError(
                f"{path} was changed since the set was opened",
                remedy="open the set again: the order of its rows is another one now. Write a new "
                "export into a new folder, so that nobody who reads the old one is disturbed",
            )
        metadata = footer_metadata(content) if held is None else held.metadata
        if held is None and len(self._footers) >= self._FOOTERS:
            self._footers.pop(next(iter(self._footers)))
        self._footers[number] = _Held(metadata, mark)
        return metadata

    def _constant(self, value: object, kind: pa.DataType, count: int) -> pa.Array:
        held = self._constants.get((value, kind))
        if held is None or len(held) < count:
            held = self._constants[value, kind] = repeated(value, kind, count)
        return held.slice(0, count)

    def _complete(self, piece: pa.RecordBatch, file: DataFile) -> pa.RecordBatch:
        constants = dict(file.constants)
        names = piece.schema.names
        arrays = []
        for name in self._columns:
            kind = self._source.schema.field(name).type
            if name in names:
                arrays.append(as_type(piece.column(names.index(name)), kind))
            else:
                arrays.append(self._constant(constants.get(name), kind, piece.num_rows))
        return pa.RecordBatch.from_arrays(arrays, self._columns)


def _refuse_value(column: str, kind: pa.DataType, value: object) -> None:
    """Raise unless a column can hold a value, and be asked for it: a text is never a number."""
    given = value.item() if isinstance(value, np.generic) else value
    types = next((types for is_kind, types in _VALUES if is_kind(kind)), ())
    is_boolean = isinstance(given, bool) == pat.is_boolean(kind)  # a bool is an int of Python
    is_theirs = given is None or (isinstance(given, types) and is_boolean)
    try:
        fits = is_theirs and scalar(value, kind) is not None
    except (pa.ArrowException, ValueError, OverflowError):
        fits = False
    if not fits:
        raise DataError(
            f"{column} is {kind}, and never such a {type(value).__name__}",
            remedy="give a value as the batches of `arrow()` have it: a text, a number, a boolean, "
            "a datetime, or None",
        )


_VALUES: Final[tuple[tuple[Callable[[pa.DataType], bool], tuple[type, ...]], ...]] = (
    (pat.is_string, (str,)),
    (pat.is_boolean, (bool,)),
    (pat.is_integer, (int,)),
    (pat.is_floating, (int, float)),
    (pat.is_decimal, (int, Decimal)),
    (pat.is_timestamp, (datetime,)),
)
"""Types of columns that rows are chosen by, and what stands in them."""


def _equals(column: pa.Array, value: object) -> NDArray[np.bool_]:
    if value is None:
        missing: NDArray[np.bool_] = to_numpy(column.is_null())
        return missing
    found: NDArray[np.bool_] = to_numpy(
        pc.fill_null(pc.equal(column, scalar(value, column.type)), scalar(False, pa.bool_()))
    )
    return found


def _mark(file: pa.NativeFile) -> object:
    """Return what tells an object of a store from one that replaces it; None where nothing does."""
    told = file.metadata()
    return (file.size(), sorted(told.items())) if told else None


def _unreadable(path: str, error: Exception | None) -> DamagedError:
    missing = isinstance(error, FileNotFoundError)
    return DamagedError(
        f"{path} {'is gone' if missing else 'is damaged'}",
        remedy="copy it again, or export the snapshot again; a table's version may have been "
        "vacuumed: read the current snapshot",
    )


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
