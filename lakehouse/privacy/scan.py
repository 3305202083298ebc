"""Looks for people in one file: the values of its identifying fields, and mentions elsewhere.

Of a Parquet file the columns that name a person are read, and of a quarantine the records, each by
the layout beside it: what equals an identifier is a value. The other texts are looked through for
mentions. So are all bytes of any other file, and what zip, gzip and zstd hide. A Parquet file that
a killed writer left without its end cannot be opened; then every zstd frame in it is decoded, and a
text with its length before it counts as a value.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from lakehouse.contracts.identifying import identified_by
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.privacy.quarantined import RECORDS, RecordSearch
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.text_files import named_in_text

if TYPE_CHECKING:
    from lakehouse.privacy.identifier_patterns import IdentifierPatterns

TENANT: Final = "tenant_id"
PIECE: Final = 8 * 1024 * 1024
ROWS: Final = 131_072
WITHOUT_END: Final = "pages without an end"
_MADE_HERE: Final = frozenset({"source_ref", "source", "data_type", "layout"})
"""Columns whose texts the service makes: they mention nobody."""
_PARQUET: Final = b"PAR1"
_ARROW: Final = b"ARRO"
_ARROW_HEAD_BYTES: Final = 8
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_DEEPEST: Final = 4


@dataclass(slots=True)
class Scanned:
    """How often people are in a file: as values and in mentions, by how they were found."""

    values: Counter[str] = field(default_factory=Counter)
    mentions: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.values or self.mentions)


def scan_stream(
    file: IO[bytes],
    patterns: IdentifierPatterns,
    readers: Readers | None = None,
    *,
    has_rows: bool = True,
    tenant_id: str | None = None,
) -> Scanned:
    """Return how often people are in a file that can seek.

    `has_rows`: it may hold rows, so texts with a header or of JSON are read for values; otherwise
    it can only mention. `readers` know the tenant's mappings. `tenant_id`: whose people they are;
    of a Parquet file that names tenants, rows of others are left out.
    """
    known = readers or Readers(TenantSettings())
    scan = _Scan(patterns, known, has_rows=has_rows, tenant_id=tenant_id)
    scan.look(file, depth=0)
    found = scan.found
    return Scanned(+found.values, +found.mentions)


class _Scan:
    """One file and what is packed in it."""

    def __init__(
        self,
        patterns: IdentifierPatterns,
        readers: Readers,
        *,
        has_rows: bool,
        tenant_id: str | None,
    ) -> None:
        self._needles = patterns
        self._readers = readers
        self._tenant_id = tenant_id
        self._has_rows = has_rows
        self.found = Scanned()

    def look(self, file: IO[bytes], depth: int) -> None:
        head = file.read(4)
        file.seek(0)
        if head == _PARQUET:
            self._parquet(file)
            return
        if head == _ARROW:
            self._arrow(file)
            return
        self._plain(file, "raw bytes" if depth == 0 else "unpacked")
        if depth >= _DEEPEST:
            return
        file.seek(0)
        if head[:2] == _GZIP:
            with suppress(OSError, EOFError):
                self.look(io.BytesIO(gzip.GzipFile(fileobj=file).read()), depth + 1)
        elif head == _ZIP:
            with suppress(zipfile.BadZipFile):
                archive = zipfile.ZipFile(file)
                for name in archive.namelist():
                    self.look(io.BytesIO(archive.read(name)), depth + 1)
        elif head == _ZSTD:
            data = file.read()
            for frame in _frames(data):
                self.look(io.BytesIO(frame), _DEEPEST)

    def _plain(self, file: IO[bytes], how: str) -> None:
        """A file of text or of anything: its rows, if it has any, and its bytes."""
        if self._has_rows:
            rows = named_in_text(file, self._readers.any_fields(), self._needles.texts)
            self.found.values["rows"] += rows
            file.seek(0)
        self.found.mentions[how] += count_stream(file, self._needles)

    def _parquet(self, file: IO[bytes]) -> None:
        try:
            parquet = pq.ParquetFile(file)
        except (pa.ArrowInvalid, OSError):
            file.seek(0)
            self._without_end(file.read())
            return
        names = parquet.schema_arrow.names
        named = [name for name in names if identified_by(name) is not None]
        if set(RECORDS) <= set(names):
            self._records(file)
            return
        leaves = [parquet.schema.column(number) for number in range(len(parquet.schema))]
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        texts = [path for path in texts if path not in _MADE_HERE]
        if not self._needles.have_mentions:
            texts = [path for path in texts if path.partition(".")[0] in named]
        # Numbers may name a person, too, in a table that somebody else has written.
        wanted = list(dict.fromkeys([*texts, *named]))
        if not wanted:
            return
        file.seek(0)
        flat = [path for path in texts if "." not in path]
        if self._tenant_id is not None and TENANT in names:
            parquet = pq.ParquetFile(file)
            for batch in parquet.iter_batches(batch_size=ROWS, columns=sorted({*wanted, TENANT})):
                for rows in _that_may_be_of(self._tenant_id, batch):
                    self._columns(rows, set(named))
            return
        parquet = pq.ParquetFile(file, read_dictionary=flat)
        for batch in parquet.iter_batches(batch_size=ROWS, columns=wanted):
            self._columns(batch, set(named))

    def _arrow(self, file: IO[bytes]) -> None:
        """Rows that an export has put aside; of a file without its end those that are there.

        What stands after them may be of anybody: it counts as naming the person.
        """
        file.seek(_ARROW_HEAD_BYTES)
        try:
            for batch in pa.ipc.open_stream(pa.PythonFile(file)):
                named = {name for name in batch.schema.names if identified_by(name) is not None}
                has_mentions = self._needles.have_mentions
                wanted = [
                    name
                    for name in batch.schema.names
                    if name in named or (has_mentions and name not in _MADE_HERE)
                ]
                self._columns(batch.select(wanted), named)
        except (pa.ArrowInvalid, OSError):
            self.found.values[WITHOUT_END] += 1

    def _columns(self, batch: pa.RecordBatch, named: set[str]) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            how = f"column {name}"
            if name in named and not pa.types.is_nested(column.type):
                self.found.values[how] += equal_rows(column, self._needles)
            else:
                self.found.mentions[how] += self._mentions(column)

    def _mentions(self, column: pa.Array) -> int:
        if not pa.types.is_dictionary(column.type):
            return sum(len(self._needles.rows(values)) for values in _texts_in(column))
        found = sorted(self._needles.rows(column.dictionary))
        codes = column.indices.drop_null().to_numpy(zero_copy_only=False) if found else []
        return int(np.isin(codes, found).sum())

    def _records(self, file: IO[bytes]) -> None:
        file.seek(0)
        search = RecordSearch(self._needles, self._readers)
        for batch in pq.ParquetFile(file).iter_batches(batch_size=ROWS, columns=list(RECORDS)):
            rows = pa.Table.from_batches([batch])
            is_named = search.names(rows)
            self.found.values["column raw"] += int(is_named.sum())
            self.found.mentions["column raw"] += int((search.mentions(rows) & ~is_named).sum())

    def _without_end(self, data: bytes) -> None:
        """Pages of a Parquet file: texts stand in them with their length before them."""
        plain = [
            len(text).to_bytes(4, "little") + text
            for text in (subject.encode() for subject in self._needles.subjects)
        ]
        for page in (data, *_frames(data)):
            self.found.values[WITHOUT_END] += sum(page.count(one) for one in plain)
            self.found.mentions[WITHOUT_END] += self._needles.count(page)


def _that_may_be_of(tenant_id: str, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Return the rows that may be a tenant's: those of nobody may be anybody's."""
    is_of = pl.col(TENANT).cast(pl.String).eq(tenant_id).fill_null(value=True)
    rows = pl.DataFrame(batch).filter(is_of)
    found: list[pa.RecordBatch] = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()
    return found


def equal_rows(column: pa.Array, patterns: IdentifierPatterns) -> int:
    """Return how many values of a column equal an identifier; a dictionary is compared once."""
    if pa.types.is_dictionary(column.type):
        is_equal = patterns.values(pl.Series(column.dictionary))
        if not is_equal.any():
            return 0
        codes = column.indices.drop_null().to_numpy(zero_copy_only=False)
        return int(is_equal[codes].sum())
    return int(patterns.values(pl.Series(column)).sum())


def count_stream(file: IO[bytes], patterns: IdentifierPatterns) -> int:
    """Count mentions in a stream piece by piece; what spans two pieces counts once."""
    if not patterns.have_mentions:
        return 0
    total, tail = 0, b""
    piece = file.read(PIECE)
    while piece:
        following = file.read(PIECE)
        data = tail + piece
        total += patterns.count(data, after=max(0, len(tail) - 3), goes_on=bool(following))
        # What stands beside an identifier tells whether it stands alone.
        tail = data[-(patterns.longest + 8) :]
        piece = following
    return total


def _texts_in(column: pa.Array) -> Iterator[pa.Array]:
    """Yield every array of texts or bytes that a column is made of."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _texts_in(column.dictionary)
    elif pa.types.is_struct(kind):
        for child in column.flatten():
            yield from _texts_in(child)
    elif pa.types.is_map(kind):
        yield from _texts_in(column.keys)
        yield from _texts_in(column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _texts_in(column.values)
    elif _is_text(kind):
        yield column


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(test(kind) for test in (*tests, pa.types.is_large_binary)) or "view" in str(kind)


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield what the zstd frames in bytes hold."""
    start = data.find(_ZSTD)
    while start >= 0:
        decoder: Any = zstandard.ZstdDecompressor().decompressobj()
        with suppress(zstandard.ZstdError):
            yield decoder.decompress(data[start:])
        start = data.find(_ZSTD, start + 1)
