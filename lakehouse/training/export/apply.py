"""Puts deltas onto an export: the export of the last one's snapshot, proven by its content hash.

Everything is read in the order of its rows, a window of times at a time, and never whole; several
deltas are put on in one pass. The files are those that `eta export` would write of the snapshot.
No lake is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import EtaError
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.checksums import CHECKSUMS, check_files
from lakehouse.training.export.delta import row_schema
from lakehouse.training.export.delta_document import (
    ADDED,
    CHANGED,
    REMOVED,
)
from lakehouse.training.export.features import chosen_columns
from lakehouse.training.export.folders import (
    NO_FEATURES,
    BaseFolder,
    DeltaFolder,
    read_base,
    read_delta,
    refuse_columns,
    refuse_order,
)
from lakehouse.training.export.hugging_face import HuggingFaceExport
from lakehouse.training.export.parquet import LABEL, ParquetExport
from lakehouse.training.export.run import (
    ExportFormat,
    begin,
    new_folder,
    write_documents,
)
from lakehouse.training.export.windows import windows
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import BATCH_ROWS, ORDER
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, TYPE_WEIGHT

_LIST_ROWS: Final = 16_384
"""Rows at a time where they have lists of the user's interactions."""


def apply_deltas(
    deltas: Sequence[Path],
    onto: Path,
    destination: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    window_rows: int = BATCH_ROWS,
) -> Manifest:
    """Write the export that `deltas`, in their order, make of the export `onto`.

    `on_rows` hears how many rows were written, and `say` what becomes of what a killed process
    left there. Return the manifest of the snapshot that is
    exported then. The new folder appears complete or not at all. Raises `EtaError` when a folder
    is not as it was written, when base and deltas are not of one row, when their columns are not
    the same, or when the outcome is not the snapshot's.
    """
    base = read_base(onto)
    found = [read_delta(folder) for folder in deltas]
    refuse_order(base, found)
    for folder in (onto, *deltas):
        check_files(folder)
    result = found[-1].manifest
    fields = refuse_columns(base, found)
    with new_folder(destination.absolute()) as folder:
        chosen = base.chosen if base.chosen != NO_FEATURES else None
        sums = b"".join((one / CHECKSUMS).read_bytes() for one in (onto, *deltas))
        journal = begin(folder, f"{base.kind} of deltas", sums, chosen, say)
        writer = (ParquetExport if base.kind is ExportFormat.PARQUET else HuggingFaceExport)(
            folder, result, added=fields, meanings=chosen_columns(chosen), journal=journal
        )
        contents = ContentHash()
        count = 0
        size = min(window_rows, _LIST_ROWS) if base.chosen.history else window_rows
        schema = row_schema(result, fields)
        rows = _base_rows(base, schema, size)
        for delta in found:
            rows = _applied(rows, delta, schema, size)
        for frame in rows:
            contents.update(_with_type_weight(frame))
            count += frame.height
            writer.write(frame)
            on_rows(frame.height)
        if (count, contents.hexdigest()) != (result.row_count, result.content_hash):
            raise _not_the_snapshot(result)
        write_documents(folder, result, base.kind, chosen, writer.finish())
    return result


def _applied(
    rows: Iterator[pl.DataFrame], delta: DeltaFolder, schema: pa.Schema, size: int
) -> Iterator[pl.DataFrame]:
    """Yield rows in order as a delta has them, its own in place of those that it names."""
    counts = delta.document.rows
    keys = pa.schema([schema.field(name) for name in ORDER])
    gone = expected = counts.removed + counts.changed
    streams = [
        rows,
        *(
            _read(delta.folder, delta.files[kind], wanted, size)
            for kind, wanted in ((ADDED, schema), (CHANGED, schema), (REMOVED, keys))
        ),
    ]
    for held, added, changed, removed in windows(streams):
        named = pl.concat([changed.select(ORDER), removed])
        kept = held.join(named, on=ORDER, how="anti")
        gone -= held.height - kept.height
        yield pl.concat([kept, added, changed]).sort(ORDER)
    if gone:
        raise EtaError(
            f"{expected:,} rows of the base are to be replaced or removed, and {gone:,} of them "
            "are not there",
            remedy="take the whole export, and report this",
        )


def _base_rows(base: BaseFolder, schema: pa.Schema, size: int) -> Iterator[pl.DataFrame]:
    nothing = pl.DataFrame(schema.empty_table())
    streams = [
        _read(base.folder, names, schema, size, label) for label, names in base.files.items()
    ]
    for frames in windows([iter([nothing]), *streams]):
        yield pl.concat(frames).sort(ORDER)


def _read(
    folder: Path, names: Sequence[str], schema: pa.Schema, size: int, label: float | None = None
) -> Iterator[pl.DataFrame]:
    """Yield rows as they stand in files, an empty frame first; `label` is that of the path."""
    yield pl.DataFrame(schema.empty_table())
    for name in names:
        for batch in pq.ParquetFile(folder / name).iter_batches(batch_size=size):
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            if label is not None:
                frame = frame.with_columns(pl.lit(label).alias(LABEL.name))
            yield frame.select(schema.names)


def _with_type_weight(rows: pl.DataFrame) -> pl.DataFrame:
    """Without a half-life, of which there are no deltas, the weight is that of the type."""
    if SAMPLE_WEIGHT not in rows.columns:
        return rows
    return rows.with_columns(pl.col(SAMPLE_WEIGHT).alias(TYPE_WEIGHT))


def _not_the_snapshot(result: Manifest) -> EtaError:
    return EtaError(
        f"base and deltas do not make the rows of snapshot {result.snapshot_id}",
        remedy="take the whole export, and report this",
    )
