"""A Parquet file as rows of texts: row group after row group, in pieces of bounded size.

The library decodes pages a piece at a time, and texts that stand in a dictionary stay there until a
piece is small enough to be written out: a file of a kilobyte can stand for a gigabyte of text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ingest_service.pipeline.places import PlaceNames
from ingest_service.pipeline.report import FileReading, RowIssue
from ingest_service.readers.parquet.schema import ParquetSchema, nested_column
from ingest_service.readers.parquet.texts import (
    beyond_exact,
    column_texts,
    is_nested,
    is_odd_identifier,
    json_values,
    kept_texts,
    lengths,
    no_json,
    not_utf8,
    plain,
)
from ingest_service.readers.table.chunk import (
    Fault,
    TableChunk,
    TableRows,
    TextBudget,
    fault_frame,
    slices,
    table_reading,
)
from ingest_service.readers.table.columns import (
    MAX_CELL_BYTES,
    TableColumns,
    about_identifier,
    cell_too_long,
)
from ingest_service.readers.table.no_json import about_no_json
from ingest_service.unpack import FREE_BYTES, MAX_RATIO
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import EXPLANATIONS, WARNINGS, FileFault, ReasonCode, WarningCode

MAX_ROWS: Final = 500_000_000
PIECE_ROWS: Final = 65_536
PIECE_BYTES: Final = 32 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024
_FOOTER_BYTES: Final = 64 * 1024 * 1024
_TAIL: Final = 8
_FEW_ROWS: Final = 256
_ERRORS: Final = (pa.ArrowException, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class ParquetPiece:
    """Rows of a row group: its number, from 1; the first row's number in it, and in the file."""

    group: int
    first: int
    first_of_file: int
    batch: pa.RecordBatch


class ParquetRows(TableRows):
    """A Parquet file as a `RowFile`; `places` are rows of their row group."""

    place_unit = "record"

    def __init__(self, path: Path, asked: TableColumns) -> None:
        self._path = path
        self._asked = asked
        self._size = path.stat().st_size
        self._budget = TextBudget(path)
        _check_footer(path, self._size)
        self._file = _read(partial(_open, path))
        try:
            metadata = self._file.metadata
            _check_size(metadata, self._size)
            self._schema = ParquetSchema.of(metadata, self._file.schema_arrow, asked)
        except BaseException:
            self._file.close()
            raise
        self._dictionaries = _dictionary_columns(metadata)
        if self._dictionaries:
            self._file.close()
            self._file = _read(partial(_open, path, self._dictionaries))
        self.header = tuple(self._schema.paths)
        self.kept = self._schema.kept
        self.single = self._schema.once
        self.position = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def pieces(self) -> Iterator[ParquetPiece]:
        """Yield the rows in pieces; raises `FileRefusedError` where the file is damaged."""
        metadata, first = self._file.metadata, 1
        for group in range(metadata.num_row_groups):
            about = metadata.row_group(group)
            width = max(1, about.total_byte_size // max(1, about.num_rows))
            most = max(1, min(PIECE_ROWS, PIECE_BYTES // width))
            row = 1
            batches = self._file.iter_batches(most, [group], list(self.kept))
            while (batch := _read(partial(next, batches, None))) is not None:
                for start, count in self._bounded(batch, group + 1, row):
                    piece = batch.slice(start, count)
                    yield ParquetPiece(group + 1, row + start, first + start, piece)
                row, first = row + batch.num_rows, first + batch.num_rows
            self.position = self._size * (group + 1) // metadata.num_row_groups

    def parse(self, piece: ParquetPiece, columns: Sequence[str]) -> TableChunk:
        """Return the rows of a piece."""
        faults: list[Fault] = []
        texts = {name: self._texts(piece.batch, name, faults) for name in columns}
        count = piece.batch.num_rows
        return TableChunk(
            pl.DataFrame(texts),
            np.arange(piece.first_of_file, piece.first_of_file + count, dtype=np.int64),
            np.arange(piece.first, piece.first + count, dtype=np.int64),
            fault_frame(sorted(faults)),
            PlaceNames(f"group{piece.group:05}:row", f"row group {piece.group}, row "),
            partial(self._records, piece),
        )

    def reading(self) -> FileReading:
        """Return that it is Parquet."""
        return table_reading("parquet")

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:
        """Yield identifiers of a type they are turned into; raises for columns without values."""
        for name in read:
            kinds = list(self._schema.types(name))
            if name not in self._asked.objects and any(map(is_nested, kinds)):
                raise nested_column(self._schema, name)
            if name in self._asked.identifiers and any(map(is_odd_identifier, kinds)):
                code = WarningCode.TYPED_IDENTIFIER
                kind = next(filter(is_odd_identifier, kinds))
                yield RowIssue(
                    self.header_line, name, code.value, f"of type {kind}: {WARNINGS[code].meaning}"
                )

    def ending(self) -> Iterator[RowIssue]:
        """Yield nothing: a file that is cut off cannot be opened."""
        yield from ()

    def _bounded(self, batch: pa.RecordBatch, group: int, first: int) -> Iterator[tuple[int, int]]:
        """Yield slices whose texts fit; raises for a cell, or for a file, that is too large."""
        total = np.full(batch.num_rows, 8 * batch.num_columns, dtype=np.int64)
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            sizes = lengths(values)
            if sizes is None:
                continue
            if len(sizes) and int(sizes.max()) > MAX_CELL_BYTES:
                row = first + int(sizes.argmax())
                raise cell_too_long(name, f"row group {group}, row {row:,}")
            total += sizes
        size = int(total.sum())
        self._budget.take(size)
        if size <= PIECE_BYTES:
            yield 0, batch.num_rows
        else:
            yield from slices(total.tolist(), PIECE_BYTES)

    def _texts(self, batch: pa.RecordBatch, name: str, faults: list[Fault]) -> pl.Series:
        found: pl.Series | None = None
        for path in self._schema.paths[name]:
            values = plain_path(batch, path)
            texts = self._own(".".join(path), values, name)
            self._note_faults(values, texts, name, faults)
            found = texts if found is None else found.fill_null(texts)
        assert found is not None
        return found

    def _note_faults(
        self, values: pa.Array, texts: pl.Series, name: str, faults: list[Fault]
    ) -> None:
        wrong = not_utf8(plain(values), texts)
        if wrong is not None:
            code = ReasonCode.NOT_UTF8
            why = EXPLANATIONS[code].meaning
            faults += [(row, code.value, name, name, why) for row in wrong.nonzero()[0].tolist()]
        lost = no_json(plain(values), texts)
        if lost is not None:
            faults += [about_no_json(row, name) for row in lost.nonzero()[0].tolist()]
        field = self._asked.identifiers.get(name)
        large = None if field is None else beyond_exact(plain(values))
        if field is not None and large is not None:
            about = about_identifier(WarningCode.LONG_NUMBER_IDENTIFIER, field, name)
            faults += [(row, *about) for row in large.nonzero()[0].tolist()]

    def _records(self, piece: ParquetPiece, rows: Sequence[int]) -> list[Mapping[str, Any]]:
        wanted = piece.batch.take(pl.Series(rows, dtype=pl.Int64).to_arrow())
        columns = {
            name: _nested_values(values)
            if is_nested(values.type)
            else kept_texts(values, self._own(name, values, name))
            for name, values in zip(wanted.schema.names, wanted.columns, strict=True)
        }
        columns |= self._unread(piece, rows)
        names = sorted(columns, key=self._schema.once.index)
        texts = [columns[name] for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)]

    def _unread(self, piece: ParquetPiece, rows: Sequence[int]) -> dict[str, list[Any]]:
        """Return the values of the nested columns that nothing reads, for these rows alone.

        Few rows are quarantined as a rule, so only then are these columns decoded, a few rows at a
        time: a value that stands in a dictionary may be long.
        """
        names = self._schema.unread
        found: dict[str, list[Any]] = {name: [] for name in names}
        if not names or not rows:
            return found
        order = np.argsort(np.asarray(rows, dtype=np.int64), kind="stable")
        places = np.asarray(rows, dtype=np.int64)[order] + piece.first - 1
        with _read(partial(_open, self._path)) as file:
            batches = file.iter_batches(_FEW_ROWS, [piece.group - 1], list(names))
            start = 0
            while start <= places[-1]:
                batch = _read(partial(next, batches))
                own = places[(places >= start) & (places < start + batch.num_rows)] - start
                if own.size:
                    taken = batch.take(pl.Series(own, dtype=pl.Int64).to_arrow())
                    for name, values in zip(names, taken.columns, strict=True):
                        found[name] += _nested_values(values)
                start += batch.num_rows
        as_asked = np.argsort(order).tolist()
        return {name: [values[at] for at in as_asked] for name, values in found.items()}

    def _own(self, path: str, values: pa.Array, name: str) -> pl.Series:
        try:
            return column_texts(
                values,
                is_utc=path in self._schema.moments,
                with_comma=self._asked.with_comma(name),
            )
        except UnicodeDecodeError:
            raise _damaged("a text within its records is not UTF-8") from None


def plain_path(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    """Return the values at a path; what is in a record that is null is null."""
    values = batch.column(path[0])
    for name in path[1:]:
        values = pa.compute.struct_field(values, name)
    return values


def _nested_values(values: pa.Array) -> list[Any]:
    try:
        return json_values(values)
    except UnicodeDecodeError:
        raise _damaged("a text within its records is not UTF-8") from None


def _open(path: Path, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        read_dictionary=list(dictionaries),
        buffer_size=_READ_BYTES,
        coerce_int96_timestamp_unit="us",
    )


def _dictionary_columns(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts that stand in dictionaries, in any row group."""
    found: set[str] = set()
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for at in range(metadata.num_columns):
            column = about.column(at)
            if column.physical_type == "BYTE_ARRAY" and any(
                "DICTIONARY" in one for one in column.encodings
            ):
                found.add(column.path_in_schema)
    return sorted(found)


def _check_footer(path: Path, size: int) -> None:
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
    if tail[4:] == b"PARE":
        raise _encrypted()
    if tail[4:] != b"PAR1":
        raise _damaged("it does not end as a Parquet file does, so it may be cut off")
    if int.from_bytes(tail[:4], "little") > _FOOTER_BYTES:
        raise _damaged(f"its description is larger than {_FOOTER_BYTES:,} bytes")


def _check_size(metadata: pq.FileMetaData, size: int) -> None:
    if metadata.num_rows > MAX_ROWS:
        raise FileRefusedError(
            FileFault.TOO_MANY_ROWS,
            f"the file has {metadata.num_rows:,} rows, more than {MAX_ROWS:,}",
            remedy="split the file",
        )
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    total = sum(max(0, group.total_byte_size) for group in groups)
    if total > max(FREE_BYTES, MAX_RATIO * size):
        raise FileRefusedError(
            FileFault.FILE_TOO_LARGE,
            f"the file unpacks to more than {MAX_RATIO} times its size",
            remedy="split it, or export it as CSV",
        )


def _read(what: Any) -> Any:
    """Return what reading gives; raises `FileRefusedError` for a damaged or encrypted file."""
    try:
        return what()
    except FileRefusedError:
        raise
    except _ERRORS as error:
        text = str(error).lower()
        if "encrypt" in text or "decrypt" in text:
            raise _encrypted() from None
        raise _damaged("its content cannot be read") from None


def _encrypted() -> FileRefusedError:
    return FileRefusedError(
        FileFault.PASSWORD_PROTECTED,
        "the Parquet file, or a column of it, is encrypted",
        remedy="write it without encryption; no key is asked for or kept here",
    )


def _damaged(why: str) -> FileRefusedError:
    return FileRefusedError(
        FileFault.DAMAGED_FILE,
        f"the Parquet file is damaged: {why}",
        remedy="write and send it again",
    )
