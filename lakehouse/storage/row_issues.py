"""Every error and warning of an upload, however many: a file per batch, read page by page.

An answer holds the first thousand; here are all of them, in the order of the file's lines. The
files hold lines, column names, codes and messages, never a value of the data. They stand beside
the tables, so every process of a deployment can answer, and are dropped after a while.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lakehouse.storage.durable import sync_file, sync_new_folders
from lakehouse.storage.lake import Lake
from lakehouse.storage.spreadsheet import FORMULA, MARK, NUMBER

Kind = Literal["errors", "warnings"]

FOLDER: Final = "ops/upload_findings"
"""As earlier releases called it: what they wrote stays readable."""
KINDS: Final[tuple[Kind, ...]] = ("errors", "warnings")
ROW_GROUP_ROWS: Final = 65_536
PLACE: Final = "place"
SCHEMA: Final = pa.schema(
    [
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("code", pa.string()),
        pa.field("reason", pa.string()),
        pa.field(PLACE, pa.string()),
    ]
)

_NEUTRAL: Final = [
    pl.when(pl.col(name).str.contains(FORMULA) & ~pl.col(name).str.contains(NUMBER))
    .then(MARK + pl.col(name))
    .otherwise(name)
    .alias(name)
    for name in ("column", "reason", PLACE)
]
"""A column of an uploaded file may be called like a formula."""
_DATED: Final = re.compile(r"^(\d{8})T")


class RowIssueStore:
    """The files of all batches; for several threads."""

    def __init__(self, lake: Lake) -> None:
        self._files = lake.filesystem(FOLDER)
        root = lake.sync_root
        self._root = root and root / FOLDER

    def writer(self, tenant_id: str, batch_id: str) -> "RowIssueWriter":
        """Begin the files of a batch; those of an earlier attempt are replaced at the end."""
        return RowIssueWriter(self._files, f"{tenant_id}/{batch_id}", self._root)

    def count(self, tenant_id: str, batch_id: str, kind: Kind) -> int:
        """Return how many issues are kept; 0 when none are."""
        with self._open(tenant_id, batch_id, kind) as file:
            return file.metadata.num_rows if file is not None else 0

    def page(
        self, tenant_id: str, batch_id: str, kind: Kind, *, offset: int, limit: int
    ) -> list[dict[str, str | int]]:
        """Return issues from the `offset`-th on, at most `limit`, as `SCHEMA` has them."""
        found: list[dict[str, str | int]] = []
        with self._open(tenant_id, batch_id, kind) as file:
            for rows in _from(file, offset) if file is not None else ():
                found += rows.head(limit - len(found)).to_dicts()
                if len(found) >= limit:
                    break
        return found

    def pages(self, tenant_id: str, batch_id: str, kind: Kind) -> Iterator[pl.DataFrame]:
        """Yield all issues, as `SCHEMA` has them."""
        with self._open(tenant_id, batch_id, kind) as file:
            yield from _from(file, 0) if file is not None else ()

    def csv(self, tenant_id: str, batch_id: str, kind: Kind) -> Iterator[bytes]:
        """Yield all issues as CSV with a header, in pieces."""
        yield ",".join(SCHEMA.names).encode() + b"\n"
        for rows in self.pages(tenant_id, batch_id, kind):
            yield rows.with_columns(_NEUTRAL).write_csv(include_header=False).encode()

    def drop_older(self, age: timedelta) -> int:
        """Delete the files of batches whose id is older than `age`; return how many."""
        oldest = f"{datetime.now(UTC) - age:%Y%m%d}"
        selector = pafs.FileSelector("", recursive=True, allow_not_found=True)
        dropped = 0
        for info in self._files.get_file_info(selector):
            day = _DATED.match(info.base_name)
            if info.type is pafs.FileType.File and day and day[1] < oldest:
                self._files.delete_file(info.path)
                dropped += 1
        return dropped

    def _open(self, tenant_id: str, batch_id: str, kind: Kind) -> "_OpenIssues":
        return _OpenIssues(self._files, _name(f"{tenant_id}/{batch_id}", kind))


class RowIssueWriter:
    """The row issues of one attempt at a batch; `finish` or `discard` ends it. One thread."""

    def __init__(self, files: pafs.FileSystem, stem: str, root: Path | None = None) -> None:
        self._files = files
        self._root = root
        self._stem = stem
        self._token = token_hex(4)
        self._open: dict[Kind, tuple[pq.ParquetWriter, pa.NativeFile]] = {}

    def write(self, kind: Kind, rows: pl.DataFrame) -> None:
        """Append issues, as `SCHEMA` has them."""
        if kind not in self._open:
            self._files.create_dir(self._stem.rpartition("/")[0], recursive=True)
            stream = self._files.open_output_stream(self._partial(kind))
            writer = pq.ParquetWriter(stream, SCHEMA, compression="zstd", store_schema=False)
            self._open[kind] = writer, stream
        table = rows.select(SCHEMA.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._open[kind][0].write_table(table.cast(SCHEMA), row_group_size=ROW_GROUP_ROWS)

    def finish(self) -> None:
        """Make the issues readable; on a local lake that is synced, they are on disk then."""
        self._close()
        for kind in self._open:
            if self._root is not None:
                sync_file(self._root / self._partial(kind))
            self._files.move(self._partial(kind), _name(self._stem, kind))
        if self._root is not None and self._open:
            sync_new_folders((self._root / self._stem).parent, self._root.parent.parent)
        self._open.clear()

    def discard(self) -> None:
        """Drop what was written; safe to repeat, and after `finish`."""
        self._close()
        for kind in self._open:
            with suppress(FileNotFoundError):
                self._files.delete_file(self._partial(kind))
        self._open.clear()

    def _close(self) -> None:
        for writer, stream in self._open.values():
            writer.close()
            stream.close()

    def _partial(self, kind: Kind) -> str:
        return f"{_name(self._stem, kind)}.{self._token}.part"


class _OpenIssues:
    """A file that may not be there."""

    def __init__(self, files: pafs.FileSystem, name: str) -> None:
        self._files = files
        self._name = name
        self._stream: pa.NativeFile | None = None

    def __enter__(self) -> pq.ParquetFile | None:
        if self._files.get_file_info(self._name).type is not pafs.FileType.File:
            return None
        self._stream = self._files.open_input_file(self._name)
        return pq.ParquetFile(self._stream)

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _from(file: pq.ParquetFile, offset: int) -> Iterator[pl.DataFrame]:
    """Yield the rows from `offset` on, a row group at a time."""
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if offset < rows:
            frame = pl.DataFrame(file.read_row_group(group))
            if PLACE not in frame.columns:  # written by an earlier release, of lines alone
                frame = frame.with_columns(pl.format("line {}", "line").alias(PLACE))
            yield frame.slice(offset)
        offset = max(0, offset - rows)


def _name(stem: str, kind: Kind) -> str:
    return f"{stem}.{kind}.parquet"
