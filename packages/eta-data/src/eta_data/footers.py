"""What the end of each Parquet file says of it: columns, row groups, and a hash of it all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from eta_data.errors import DamagedError
from eta_data.files import Folder
from eta_data.schema import plain_schema

_MAGIC: Final = b"PAR1"
_TAIL_BYTES: Final = 65_536
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Footer:
    """One file's footer. `ranges` has, per row group, the least and greatest value of a column."""

    schema: pa.Schema
    row_groups: tuple[int, ...]
    digest: str
    """Of the footer's bytes: sizes, places and statistics of all column chunks."""
    ranges: Mapping[str, tuple[tuple[object, object] | None, ...]]


def read_footers(
    folder: Folder, names: Sequence[str], ranges_of: Sequence[str]
) -> dict[str, Footer]:
    """Return the footers of files, several read at a time; refuse a file that is cut or is none."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda name: _read(folder, name, ranges_of), names)
        return dict(zip(names, found, strict=True))


def _read(folder: Folder, name: str, ranges_of: Sequence[str]) -> Footer:
    path = folder.below(name)
    try:
        with folder.files.open_input_file(path) as file:
            content = footer_bytes(file)
        metadata = footer_metadata(content)
        schema = metadata.schema.to_arrow_schema()
    except (OSError, pa.ArrowException, ValueError) as error:
        raise DamagedError(
            f"{path} is not a whole Parquet file",
            remedy="copy it again, or export the snapshot into a new folder",
        ) from error
    groups = range(metadata.num_row_groups)
    return Footer(
        schema=plain_schema(schema, path),
        row_groups=tuple(metadata.row_group(number).num_rows for number in groups),
        digest=footer_digest(content),
        ranges={
            column: tuple(_range(metadata.row_group(number), column) for number in groups)
            for column in ranges_of
        },
    )


def footer_bytes(file: pa.NativeFile) -> bytes:
    """Return the footer with its length and the magic number behind it.

    Raises `ValueError` for a file that is cut or is none.
    """
    size = file.size()
    start = max(0, size - _TAIL_BYTES)
    tail: bytes = file.read_at(size - start, start)
    if len(tail) < 8 or not tail.endswith(_MAGIC):
        raise ValueError("no magic number")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length + len(_MAGIC) > size:
        raise ValueError("the footer is longer than the file")
    if length > len(tail):
        tail = file.read_at(length, size - length)
    return tail[-length:]


def footer_digest(content: bytes) -> str:
    """Return the hash of what `footer_bytes` returned."""
    return hashlib.sha256(content).hexdigest()


def footer_metadata(content: bytes) -> pq.FileMetaData:
    """Return what `footer_bytes` returned as pyarrow has it."""
    return pq.read_metadata(pa.BufferReader(_MAGIC + content))


def _range(group: pq.RowGroupMetaData, column: str) -> tuple[object, object] | None:
    for number in range(group.num_columns):
        chunk = group.column(number)
        if chunk.path_in_schema == column:
            statistics = chunk.statistics
            if statistics is None or not statistics.has_min_max or statistics.null_count:
                return None
            return statistics.min, statistics.max
    return None
