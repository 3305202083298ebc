"""Reads a snapshot's rows from the Delta version it pins: sorted, in batches, in bounded memory.

Sorted by (event_time, user_id, anchor_item_id, draw_index): a training set cut at a time is then a
range of row groups, a positive stands beside its negatives, and the same snapshot gives the same
files. Delta holds the rows in whatever order the runs left them. The times are counted first; rows
then go to one spill file per range of times, small enough to be sorted in memory, one after the
other. A set of one range is never spilled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.content_hash import EVALUATED, EXAMPLE, ContentHash
from lakehouse.training.manifest import EvaluationManifest, Manifest

RANGE_ROWS: Final = 500_000
"""Rows sorted in memory at a time; more only if one minute holds more. An export peaked at 0.89 GB
for 6 million rows and at 0.93 GB for 12 million (1.3 GB for 6 million with twice this)."""
BATCH_ROWS: Final = 131_072
ORDER: Final = ("event_time", "user_id", "anchor_item_id", "draw_index")


def sorted_rows(
    lake: Lake,
    manifest: Manifest,
    scratch: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    range_rows: int = RANGE_ROWS,
) -> Iterator[pl.DataFrame]:
    """Yield all rows of a snapshot in `ORDER`, in frames of at most about `range_rows` rows.

    `scratch` is a folder for spill files, removed again. `on_rows` hears how many rows each batch
    had as it was read. Raises `EtaError`, at the latest after the last row, when the rows are not
    those the manifest names, or are gone.
    """
    is_evaluation = isinstance(manifest, EvaluationManifest)
    counted = ContentHash(EVALUATED if is_evaluation else EXAMPLE)
    seen = 0
    with TemporaryDirectory(dir=scratch, prefix=".spill-") as spill:
        for frame in _ranges(lake, manifest, Path(spill), on_rows, range_rows):
            counted.update(frame)
            seen += frame.height
            yield frame.sort((*ORDER, "split") if is_evaluation else ORDER)
    if (seen, counted.hexdigest()) != (manifest.row_count, manifest.content_hash):
        raise EtaError(
            f"the rows of snapshot {manifest.snapshot_id} are not those its manifest names",
            remedy="make a new snapshot, and report this",
        )


def tenant_batches(
    lake: Lake,
    manifest: Manifest,
    table: str,
    columns: list[str] | None = None,
    added: Sequence[str] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the tenant's rows of a pinned table in frames of about `BATCH_ROWS`, in no order.

    Columns that were `added` by a later release are null in a version that lacks them. Rows that a
    deletion vector hides are left out. Raises `EtaError` when the version is gone.
    """
    if manifest.withdrawn_at is not None:
        raise EtaError(
            f"snapshot {manifest.snapshot_id} was withdrawn on {manifest.withdrawn_at:%Y-%m-%d}: "
            "somebody was erased whose rows it held",
            remedy=f"use the current one, see `{manifest.command} list`",
        )
    pinned = manifest.pinned[table]
    try:
        opened = lake.table(pinned.location, pinned.version)
        held = [field.name for field in opened.schema().fields]
        wanted = ", ".join(f'"{name}"' for name in columns or held)
        for name in added:
            wanted += f', "{name}"' if name in held else f', null as "{name}"'
        tenant_id = check_tenant_id(manifest.tenant_id)
        found = (
            QueryBuilder()
            .register("pinned", opened)
            .execute(f"select {wanted} from pinned where tenant_id = '{tenant_id}'")  # noqa: S608
        )
        yield from _collected(map(pl.DataFrame, found))
    except DeltaError as error:
        raise gone(manifest) from error
    except Exception as error:
        if "not found" in str(error):  # the engine has no class of its own for a missing file
            raise gone(manifest) from error
        raise


def _collected(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Put small frames together; the engine's own batches have 8,192 rows."""
    waiting: list[pl.DataFrame] = []
    height = 0
    for frame in frames:
        waiting.append(frame)
        height += frame.height
        if height >= BATCH_ROWS:
            yield pl.concat(waiting)
            waiting, height = [], 0
    if height:
        yield pl.concat(waiting)


def gone(manifest: Manifest) -> EtaError:
    """Return the error of a snapshot whose files were vacuumed."""
    return EtaError(
        f"the rows of snapshot {manifest.snapshot_id} are not kept any more",
        remedy=f"export the current one (`{manifest.command} list --tenant {manifest.tenant_id}`)",
    )


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _ranges(
    lake: Lake,
    manifest: Manifest,
    spill: Path,
    on_rows: Callable[[int], None],
    range_rows: int,
) -> Iterator[pl.DataFrame]:
    def batches() -> Iterator[pl.DataFrame]:
        for frame in tenant_batches(lake, manifest, manifest.data_table):
            on_rows(frame.height)
            yield frame

    if manifest.row_count <= range_rows:
        frames = list(batches())
        if frames:
            yield pl.concat(frames)
        return
    starts = _range_starts(lake, manifest, range_rows)
    writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}
    try:
        for frame in batches():
            _spill(frame, starts, spill, writers)
    finally:
        for writer in writers.values():
            writer.close()
    for number in sorted(writers):
        path = spill / str(number)
        with pa.OSFile(str(path)) as file:
            yield _frame(pa.ipc.open_file(file).read_all())
        path.unlink()


def _range_starts(lake: Lake, manifest: Manifest, range_rows: int) -> pl.Series:
    """Return the first minute of each range, in order; ranges hold about `range_rows` rows."""
    minutes: pl.DataFrame | None = None
    table = manifest.data_table
    for frame in tenant_batches(lake, manifest, table, ["tenant_id", "event_time"]):
        part = frame.group_by(minute=_minute()).agg(rows=pl.len().cast(pl.Int64))
        both = part if minutes is None else pl.concat([minutes, part])
        minutes = both.group_by("minute").agg(pl.col("rows").sum())
    assert minutes is not None
    ordered = minutes.sort("minute").with_columns(before=pl.col("rows").cum_sum() - pl.col("rows"))
    return (
        ordered.group_by(pl.col("before") // range_rows, maintain_order=True)
        .agg(pl.col("minute").first())
        .get_column("minute")
        .sort()
    )


def _minute() -> pl.Expr:
    return pl.col("event_time").dt.truncate("1m")


def _spill(
    frame: pl.DataFrame,
    starts: pl.Series,
    spill: Path,
    writers: dict[int, pa.ipc.RecordBatchFileWriter],
) -> None:
    numbered = frame.with_columns(
        range=starts.search_sorted(frame.select(_minute()).to_series(), side="right") - 1
    )
    for (number,), part in numbered.partition_by("range", as_dict=True, include_key=False).items():
        rows = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        if number not in writers:
            writers[number] = pa.ipc.new_file(str(spill / str(number)), rows.schema)
        writers[number].write_table(rows)
