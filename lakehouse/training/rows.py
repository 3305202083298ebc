"""Reads a snapshot's rows from the Delta version it pins: sorted, in batches, in bounded memory.

Sorted by (event_time, user_id, anchor_item_id, draw_index): a training set cut at a time is then a
range of row groups, a positive stands beside its negatives, and the same snapshot gives the same
files. Delta holds the rows in whatever order the runs left them. The times are counted first; rows
then go to one spill file per range of times, small enough to be sorted in memory, one after the
other. A set of one range is never spilled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from lakehouse.training.arrow_tables import arrow_of
from lakehouse.training.content_hash import EVALUATED, EXAMPLE, SHOWN_POSITION, ContentHash
from lakehouse.training.manifest import EXAMPLES, HISTORIES, EvaluationManifest, Manifest
from lakehouse.training.pinned import open_pinned, vacuumed
from lakehouse.training.sample_weights import TYPE_WEIGHT

RANGE_ROWS: Final = 500_000
"""Rows sorted in memory at a time; more only if one minute holds more. An export peaked at 0.89 GB
for 6 million rows and at 0.93 GB for 12 million (1.3 GB for 6 million with twice this)."""
BATCH_ROWS: Final = 131_072
HISTORY_ROWS: Final = 16_384
"""Rows at a time that get the lists of their user's interactions."""
ORDER: Final = ("event_time", "user_id", "anchor_item_id", "draw_index")
"""The order of the rows; no two rows of a training set have the same values here."""
HISTORY_KEY: Final = ("user_id", "event_time")
HASHED: Final = tuple(name for value in EXAMPLE for name in value.meta.root_names())
"""Columns of the training data that the content hash is over."""

HISTORY_COLUMNS: Final = {
    "history_item_ids": "item_ids",
    "history_interaction_types": "interaction_types",
    "history_event_times": "event_times",
}
"""Columns of an export with histories → those of the table they come from."""


@dataclass(frozen=True, slots=True)
class ChosenFeatures:
    """What the rows of an export have besides label and draw: features and histories.

    `columns` of the examples, and the user's last `history` interactions before the event, if any.
    """

    columns: tuple[str, ...]
    history: int


def sorted_rows(
    lake: Lake,
    manifest: Manifest,
    scratch: Path,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
    range_rows: int = RANGE_ROWS,
    chosen: ChosenFeatures | None = None,
    is_done: Callable[[pl.DataFrame], bool] = lambda _: False,
) -> Generator[pl.DataFrame, None, None]:
    """Yield all rows of a snapshot in `ORDER`, in frames of at most about `range_rows` rows.

    With `chosen` they have these columns of the examples, and the histories, too. `is_done` is
    asked of the rows of each range, in no order, whether they can be left out; they count.
    `scratch` is a folder for spill files, which are removed at the end, or when it is closed.
    `on_rows` hears how many rows each batch had as it was read. Raises `EtaError`, at the latest
    after the last row, when the rows are not those the manifest names, or are gone.
    """
    is_evaluation = isinstance(manifest, EvaluationManifest)
    counted = ContentHash(EVALUATED if is_evaluation else EXAMPLE)
    seen = 0
    starts = None
    if manifest.row_count > range_rows:
        wanted = ["tenant_id", "event_time"]
        starts = range_starts(
            tenant_batches(lake, manifest, manifest.data_table, wanted), range_rows
        )
    with TemporaryDirectory(dir=scratch, prefix=".spill-") as spill:
        rows = Ranges(starts, Path(spill) / "rows")
        rows.fill(_rows(lake, manifest, chosen, on_rows))
        histories = Ranges(starts, Path(spill) / "histories")
        histories.fill(_histories(lake, manifest, chosen))
        if chosen is not None and chosen.history and rows.numbers() != histories.numbers():
            raise histories_missing()
        for number in rows.numbers():
            frame = rows.take(number)
            counted.update(frame)
            seen += frame.height
            past = histories.take(number) if chosen is not None and chosen.history else None
            if is_done(frame):
                continue
            ordered = frame.sort((*ORDER, "split") if is_evaluation else ORDER)
            if past is None:
                yield ordered
            else:
                yield from with_histories(ordered, past)
    if (seen, counted.hexdigest()) != (manifest.row_count, manifest.content_hash):
        raise not_as_named(manifest)


def _rows(
    lake: Lake,
    manifest: Manifest,
    chosen: ChosenFeatures | None,
    on_rows: Callable[[int], None],
) -> Iterator[pl.DataFrame]:
    """Yield the rows as the training data has them, or with the chosen columns of the examples."""
    if chosen is None:
        frames = tenant_batches(lake, manifest, manifest.data_table)
    else:
        columns = [*HASHED, *chosen.columns]
        added = [TYPE_WEIGHT, SHOWN_POSITION]
        frames = tenant_batches(lake, manifest, EXAMPLES, columns, added=added)
    for frame in frames:
        on_rows(frame.height)
        yield frame


def _histories(
    lake: Lake, manifest: Manifest, chosen: ChosenFeatures | None
) -> Iterator[pl.DataFrame]:
    """Yield what users had done before each labelled time: the last interactions, if wanted."""
    if chosen is None or not chosen.history:
        return
    columns = [*HISTORY_KEY, *HISTORY_COLUMNS.values()]
    for frame in tenant_batches(lake, manifest, HISTORIES, columns):
        yield last_of_histories(frame, chosen.history)


def last_of_histories(frame: pl.DataFrame, history: int) -> pl.DataFrame:
    """Return rows of `HISTORIES` as an export has them: the last interactions of each list."""
    last = [
        pl.col(name).list.tail(history).alias(column) for column, name in HISTORY_COLUMNS.items()
    ]
    return frame.select(*HISTORY_KEY, *last)


def with_histories(rows: pl.DataFrame, histories: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Join the histories slice by slice: a list stands in every row of its positive's draws."""
    for piece in rows.iter_slices(HISTORY_ROWS):
        joined = piece.join(
            histories,
            on=list(HISTORY_KEY),
            how="left",
            validate="m:1",
            maintain_order="left",
        )
        if joined.get_column(next(iter(HISTORY_COLUMNS))).null_count():
            raise histories_missing()
        yield joined


def histories_missing() -> EtaError:
    """Return the error of a snapshot that lacks lists which its rows need."""
    return EtaError(
        "examples of the snapshot have no list of their user's interactions",
        remedy="make a new snapshot with `eta prepare`, and report this",
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
    opened = open_pinned(lake, manifest, table)
    try:
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
        raise vacuumed(manifest, table) from error
    except Exception as error:
        if "not found" in str(error):  # the engine has no class of its own for a missing file
            raise vacuumed(manifest, table) from error
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


def not_as_named(manifest: Manifest) -> EtaError:
    """Return the error of a snapshot whose rows have another content hash than it names."""
    return EtaError(
        f"the rows of snapshot {manifest.snapshot_id} are not those its manifest names",
        remedy="make a new snapshot, and report this",
    )


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def range_starts(frames: Iterable[pl.DataFrame], range_rows: int) -> pl.Series:
    """Return the first minute of each range, in order; ranges hold about `range_rows` rows.

    `frames` have the rows' `event_time`, and at least one row.
    """
    minutes: pl.DataFrame | None = None
    for frame in frames:
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


class Ranges:
    """Rows by range of times: in memory where all are one range, else in a spill file for each."""

    def __init__(self, starts: pl.Series | None, folder: Path) -> None:
        self._starts = starts
        self._folder = folder
        self._held: list[pl.DataFrame] = []
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def fill(self, frames: Iterable[pl.DataFrame]) -> None:
        """Take all rows."""
        try:
            for frame in frames:
                self.add(frame)
        finally:
            self.close()

    def close(self) -> None:
        """End the files: no row is added any more."""
        for writer in self._writers.values():
            writer.close()

    def numbers(self) -> list[int]:
        """Return the ranges that have rows, in order."""
        if self._starts is None:
            return [0] if self._held else []
        return sorted(self._writers)

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows, in any order; `close` has to follow the last."""
        if self._starts is None:
            self._held.append(frame)
            return
        minutes = frame.select(_minute()).to_series()
        numbered = frame.with_columns(range=self._starts.search_sorted(minutes, side="right") - 1)
        parts = numbered.partition_by("range", as_dict=True, include_key=False)
        for (number,), part in parts.items():
            rows = arrow_of(part)
            if number not in self._writers:
                self._folder.mkdir(exist_ok=True)
                path = str(self._folder / str(number))
                self._writers[number] = pa.ipc.new_file(path, rows.schema)
            self._writers[number].write_table(rows)

    def take(self, number: int) -> pl.DataFrame:
        """Return a range's rows, which are kept no longer."""
        if self._starts is None:
            held, self._held = self._held, []
            return pl.concat(held)
        path = self._folder / str(number)
        with pa.OSFile(str(path)) as file:
            frame = _frame(pa.ipc.open_file(file).read_all())
        path.unlink()
        return frame
