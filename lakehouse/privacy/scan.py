"""Looks for identifiers in one file: its raw bytes, and all that can be decoded from them.

Compression hides an identifier from a search of the raw bytes, so what is compressed is decoded:
every value and every dictionary of every page of a Parquet file (also in nested columns, as in
checkpoints), zip, gzip and zstd. A Parquet file that a killed writer left without its end cannot be
opened; then every zstd frame in it is decoded. Statistics, page indexes and the log are plain
and are found by the search of raw bytes.
"""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from lakehouse.privacy.needles import SUBJECT_COLUMNS, Needles

PIECE: Final = 8 * 1024 * 1024
ROWS: Final = 131_072
_PARQUET: Final = b"PAR1"
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_DEEPEST: Final = 4


def scan_stream(file: IO[bytes], needles: Needles) -> dict[str, int]:
    """Return how often identifiers stand in a file, by how they were found; empty for none.

    `file` can seek. Reads it once as bytes and, if it is of a known format, once more decoded.
    """
    found: dict[str, int] = {}
    _scan(file, needles, found, depth=0)
    return found


def _scan(file: IO[bytes], needles: Needles, found: dict[str, int], depth: int) -> None:
    head = file.read(4)
    file.seek(0)
    _add(found, "raw bytes" if depth == 0 else "unpacked", _count(file, needles))
    if depth >= _DEEPEST:
        return
    file.seek(0)
    if head == _PARQUET:
        _scan_parquet(file, needles, found)
    elif head[:2] == _GZIP:
        with suppress(OSError, EOFError):
            _scan(io.BytesIO(gzip.GzipFile(fileobj=file).read()), needles, found, depth + 1)
    elif head == _ZIP:
        with suppress(zipfile.BadZipFile):
            archive = zipfile.ZipFile(file)
            for name in archive.namelist():
                _scan(io.BytesIO(archive.read(name)), needles, found, depth + 1)
    elif head == _ZSTD:
        _add(found, "unpacked", _count_frames(file.read(), needles))


def _count(file: IO[bytes], needles: Needles) -> int:
    """Count in a stream piece by piece; what spans two pieces counts once."""
    total, tail = 0, b""
    piece = file.read(PIECE)
    while piece:
        following = file.read(PIECE)
        data = tail + piece
        total += needles.count(data, after=max(0, len(tail) - 1), goes_on=bool(following))
        # The byte before an identifier tells whether it stands alone.
        tail = data[-(needles.longest + 1) :]
        piece = following
    return total


def _scan_parquet(file: IO[bytes], needles: Needles, found: dict[str, int]) -> None:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError):
        file.seek(0)
        _add(found, "pages without an end", _count_frames(file.read(), needles))
        return
    leaves = [parquet.schema.column(number) for number in range(len(parquet.schema))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    if not texts:
        return
    file.seek(0)
    parquet = pq.ParquetFile(file, read_dictionary=[path for path in texts if "." not in path])
    for batch in parquet.iter_batches(batch_size=ROWS, columns=texts):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for values in _texts_in(column):
                hits = needles.rows(values, of_subjects=name in SUBJECT_COLUMNS)
                _add(found, f"column {name}", len(hits))


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


def _count_frames(data: bytes, needles: Needles) -> int:
    """Decode every zstd frame in bytes and count in what they hold."""
    total, start = 0, data.find(_ZSTD)
    while start >= 0:
        decoder: Any = zstandard.ZstdDecompressor().decompressobj()
        with suppress(zstandard.ZstdError):
            total += needles.count(decoder.decompress(data[start:]))
        start = data.find(_ZSTD, start + 1)
    return total


def _add(found: dict[str, int], how: str, count: int) -> None:
    if count:
        found[how] = found.get(how, 0) + count
