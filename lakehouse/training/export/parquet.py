"""Parquet for training loaders: `training_data/{date}/label=1.0|0.0/part-*.parquet`.

An evaluation snapshot is divided first: `evaluation_data/{date}/split=train/label=1.0/…`, with the
catalogue to rank and the popularity of training beside it, `items.parquet`.

Row groups of 131,072 rows are the unit that a loader's worker reads; files end after the row group
that takes them over 128 MiB. Label and split are in the path, as Hive partitions have it, and not
in the file: readers that know such paths refuse a column that stands in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.training.arrow_tables import arrow_of
from lakehouse.training.content_hash import DRAWN_BY, DRAWN_POPULARITY, SHOWN_POSITION
from lakehouse.training.export.base import markdown_table
from lakehouse.training.export.journal import Journal
from lakehouse.training.manifest import EvaluationManifest, Manifest
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, described_weight, has_sample_weights

ROW_GROUP_ROWS: Final = 131_072
TARGET_FILE_BYTES: Final = 128 * 1024 * 1024

SCHEMA: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("anchor_item_id", pa.string()),
        pa.field("draw_index", pa.int32()),
        pa.field("interaction_type", pa.string()),
        pa.field("negative_type", pa.string()),
        pa.field("sampling_probability", pa.float64()),
        pa.field("event_time", pa.timestamp("us", tz="UTC")),
    ]
)
LABEL: Final = pa.field("label", pa.float64())
"""The label, where it is in the files."""
EVALUATED: Final = pa.schema(
    [*SCHEMA, pa.field("is_cold_user", pa.bool_()), pa.field("is_cold_item", pa.bool_())]
)
"""The columns of an evaluation snapshot."""
WEIGHTED: Final = pa.schema([*SCHEMA, pa.field(SAMPLE_WEIGHT, pa.float64())])
"""The columns of a training set whose rows weigh other than 1."""
_SHOWN: Final = pa.field(SHOWN_POSITION, pa.int32())
_WAYS: Final = (
    (
        pa.field(DRAWN_BY, pa.string()),
        "how a sampled negative was drawn: `uniform`, `popularity` or `category`; else null",
    ),
    (
        pa.field(DRAWN_POPULARITY, pa.int64()),
        "the item's interactions before the positive's day; null if drawn uniformly, or not at all",
    ),
    (
        pa.field("logq", pa.float64()),
        "logarithm of the probability that one draw takes the item; null unless sampled or shown",
    ),
)
_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("tenant_id", "the tenant"),
    ("user_id", "the user, as sent"),
    ("item_id", "the item of the example, as sent"),
    ("anchor_item_id", "the positive's item that a negative was drawn for; else the item itself"),
    ("draw_index", "0, or 1, 2, … for the negatives drawn for a positive"),
    ("interaction_type", "strongest type of a positive; type of an explicit negative; else null"),
    ("negative_type", "`sampled`, `shown` or `explicit`; null for a positive"),
    ("sampling_probability", "probability of the draw; null unless sampled or shown"),
    ("event_time", "time of the positive or the dislike, UTC; the rows are in its order"),
    ("label", "1.0 or 0.0, **in the path**, not in the files"),
)
_EVALUATED_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    *_COLUMNS[:-1],
    ("is_cold_user", "the user has no positive among the training rows"),
    ("is_cold_item", "the item has no positive among the training rows"),
    ("split", "train, validation or test, **in the path**, not in the files"),
    ("label", "1.0 or 0.0, likewise; validation and test are positives"),
    ("items.parquet", "one row per item known by the cutoff: `item_id`, `train_positive_count`"),
)
_EVALUATED_LOADING: Final = """\
```python
import duckdb, polars

duckdb.sql("from read_parquet('{folder}/*/*/*.parquet', hive_types = {{'label': double}})")
types = {{"split": polars.String, "label": polars.Float64}}
polars.scan_parquet("{folder}/", hive_partitioning=True, hive_schema=types)
```

Rank all of `items.parquet` for a user, less what the user has in train; popularity is its
`train_positive_count`, nothing else: any other count has seen the test.
"""
_LOADING: Final = """\
```python
import duckdb, polars, pyarrow.parquet as pq
from pathlib import Path

duckdb.sql("from read_parquet('{folder}/*/*.parquet', hive_types = {{'label': double}})")
polars.scan_parquet("{folder}/", hive_partitioning=True, hive_schema={{"label": polars.Float64}})
for path in sorted(Path("{folder}").glob("label=*/*.parquet")):  # row group by row group
    label = float(path.parent.name.removeprefix("label="))
    file = pq.ParquetFile(path)
    for number in range(file.num_row_groups):
        rows = file.read_row_group(number, columns=["user_id", "item_id", "event_time"])
```
"""


class ParquetExport:
    """See the module.

    `items` are needed for an evaluation snapshot. `added` are fields that the rows have besides,
    and `meanings` says what they hold. Files that `journal` has are not written again.
    """

    label_fields: ClassVar[tuple[pa.Field, ...]] = ()
    """The label, where it is in the files."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        items: pl.DataFrame | None = None,
        *,
        added: Sequence[pa.Field] = (),
        meanings: Sequence[tuple[str, str]] = (),
        file_bytes: int = TARGET_FILE_BYTES,
        journal: Journal | None = None,
    ) -> None:
        self._is_evaluation = isinstance(manifest, EvaluationManifest)
        self._place = self._folder_of(manifest)
        self._schema = EVALUATED if self._is_evaluation else training_columns(manifest)
        self._settled = _settled_columns(manifest)
        for field in (*self.label_fields, *added):
            self._schema = self._schema.append(field)
        self._meanings = meanings
        self._root = folder / self._place
        self._file_bytes = file_bytes
        self._journal = journal
        self._files: dict[str, PartFiles] = {}
        if items is not None:
            items.select("item_id", "train_positive_count").write_parquet(folder / "items.parquet")

    def _folder_of(self, manifest: Manifest, /) -> str:
        name = "evaluation_data" if self._is_evaluation else "training_data"
        return f"{name}/{manifest.created_at:%Y-%m-%d}"

    def _parts(self, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the rows by the folder that they go to."""
        keys = ["split", "label"] if self._is_evaluation else ["label"]
        for values, part in rows.partition_by(keys, as_dict=True, maintain_order=True).items():
            yield "/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)), part

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        for place, part in self._parts(rows):
            self._files_of(place).write(arrow_table(part, self._schema))

    def has_all(self, rows: pl.DataFrame) -> bool:
        """See `ExportWriter.has_all`."""
        parts = [(self._files_of(place), part.height) for place, part in self._parts(rows)]
        if any(files.rows_left < height for files, height in parts):
            return False
        for files, height in parts:
            files.pass_over(height)
        return True

    def _files_of(self, place: str) -> PartFiles:
        if place not in self._files:
            folder = self._root / place
            self._files[place] = PartFiles(folder, self._schema, self._file_bytes, self._journal)
        return self._files[place]

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        self.close()
        loading = _EVALUATED_LOADING if self._is_evaluation else _LOADING
        return f"{self._column_table()}\n\n{loading.format(folder=self._place)}"

    def close(self) -> None:
        """Complete the files."""
        for files in self._files.values():
            files.close()

    def _column_table(self) -> str:
        columns = _EVALUATED_COLUMNS if self._is_evaluation else _COLUMNS
        always = [(f"`{name}`", text) for name, text in columns]
        return markdown_table(("column", "meaning"), [*always, *self._settled, *self._meanings])


class PartFiles:
    """Files `part-*.parquet` of one folder: of one label, and of one split.

    The same rows in the same order give the same bytes, in whatever pieces they come. The rows of
    files that `journal` has are passed over.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        file_bytes: int = TARGET_FILE_BYTES,
        journal: Journal | None = None,
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._file_bytes = file_bytes
        self._journal = journal
        finished = [] if journal is None else journal.rows(folder)
        self.rows_left = sum(finished)
        """Rows that are in files already, of those that are still to come."""
        self._count = len(finished)
        self._file_rows = 0
        self._pending: list[pa.Table] = []
        self._sink: pa.NativeFile | None = None
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Take the next rows."""
        known = min(self.rows_left, rows.num_rows)
        self.pass_over(known)
        self._pending.append(rows.slice(known))
        if sum(table.num_rows for table in self._pending) < ROW_GROUP_ROWS:
            return
        held = pa.concat_tables(self._pending)
        whole = held.num_rows - held.num_rows % ROW_GROUP_ROWS
        for start in range(0, whole, ROW_GROUP_ROWS):
            self._write_group(held.slice(start, ROW_GROUP_ROWS))
        self._pending = [held.slice(whole)]

    def pass_over(self, rows: int) -> None:
        """Leave out the next rows, which files have already."""
        self.rows_left -= rows

    def close(self, *, is_never_empty: bool = False) -> None:
        """Complete the files; without rows there is none, or an empty one that has the columns."""
        rest = pa.concat_tables(self._pending) if self._pending else None
        if rest is not None and rest.num_rows:
            self._write_group(rest)
        elif is_never_empty and not self._count:
            self._write_group(self._schema.empty_table())
        self._end_file()

    def _write_group(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(self._path(self._count)), "wb")
            self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
            self._count += 1
            self._file_rows = 0
        # pages end where pieces do
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP_ROWS)
        self._file_rows += rows.num_rows
        assert self._sink is not None
        if self._sink.tell() >= self._file_bytes:
            self._end_file()

    def _end_file(self) -> None:
        if self._writer is None or self._sink is None:
            return
        self._writer.close()
        self._sink.close()
        self._writer = self._sink = None
        if self._journal is not None:
            self._journal.add(self._path(self._count - 1), self._file_rows)

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:05}.parquet"


def arrow_table(rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema` as a file of it has them."""
    return arrow_of(rows.select(schema.names)).cast(schema)


def column_meanings(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the columns of a training set whose label is in the files, and what they hold."""
    columns = [(f"`{name}`", text) for name, text in _COLUMNS if name != LABEL.name]
    columns.append((f"`{LABEL.name}`", "1.0 or 0.0"))
    return [*columns, *_settled_columns(manifest)]


def training_columns(manifest: Manifest) -> pa.Schema:
    """Return the columns of a training set's rows, without label and features."""
    schema = WEIGHTED if has_sample_weights(manifest) else SCHEMA
    more = [_SHOWN] if has_shown_negatives(manifest) else []
    if has_drawn_ways(manifest):
        more += [field for field, _ in _WAYS]
    return pa.schema([*schema, *more])


def has_shown_negatives(manifest: Manifest) -> bool:
    """Whether the tenant's settings asked for negatives out of what was shown."""
    return manifest.parameters.shown_per_positive is not None


def has_drawn_ways(manifest: Manifest) -> bool:
    """Whether the tenant's settings have negatives drawn by popularity or within the category."""
    return manifest.parameters.negatives is not None


def _settled_columns(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """Return the columns that a tenant's settings bring, and what they hold."""
    found = []
    if has_sample_weights(manifest):
        found.append((f"`{SAMPLE_WEIGHT}`", described_weight(manifest)))
    if has_shown_negatives(manifest):
        meaning = "where a `shown` negative stood in its list; else null"
        found.append((f"`{_SHOWN.name}`", meaning))
    if has_drawn_ways(manifest):
        found += [(f"`{field.name}`", meaning) for field, meaning in _WAYS]
    return tuple(found)
