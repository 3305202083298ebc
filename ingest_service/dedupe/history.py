"""The raw tables as the dedupe window's past: after a start, and for other processes' commits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from typing import Final

import polars as pl
from deltalake import DeltaTable

from ingest_service.dedupe.stored_prints import StoredPrints
from ingest_service.dedupe.window import FINGERPRINT_SCHEMA, Seen
from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import RAW_TABLES
from lakehouse.contracts.tenant import DataType
from lakehouse.storage.staging import batch_of

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _File:
    """A data file of a tenant, and how many `rows` became known when, if that was looked up."""

    path: str
    day: date
    rows: int
    moments: pl.DataFrame | None = None

    @property
    def is_one_batch(self) -> bool:
        """Whether all rows are known to be of one batch and to have become known together."""
        return batch_of(self.path) is not None and self.first == self.last != _NEVER

    @property
    def first(self) -> datetime:
        """When its first rows became known."""
        return _moment(None if self.moments is None else self.moments["known_at"].min())

    @property
    def last(self) -> datetime:
        """When its last rows became known."""
        return _moment(None if self.moments is None else self.moments["known_at"].max())


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be read: files, the oldest first, and of them the rows known `since` then."""

    files: list[_File]
    since: datetime | None


class DeltaHistory:
    """Reads fingerprints from the data files of a tenant, each file once."""

    def __init__(self, sink: DeltaSink) -> None:
        self._sink = sink

    def unseen(
        self, tenant_id: str, data_type: DataType, seen: Seen, limit: int
    ) -> Iterator[pl.DataFrame]:
        """Yield fingerprints of files not in `seen`, a row group at a time; see `History.unseen`.

        Catalogue rows of files that were merged are all read before the first is yielded. Raises
        `DamagedError` for a file that cannot be read, also on a new handle, and `StorageError`
        when the table cannot be.
        """
        spec = RAW_TABLES[data_type]

        def planned(table: DeltaTable) -> tuple[Seen, _Plan]:
            found = seen.copy()
            stored = StoredPrints(table, tenant_id, data_type)
            return found, _plan(_files(table, tenant_id), stored, found, limit)

        found, plan = self._sink.ask(spec, planned)
        seen.files, seen.batches, seen.is_void = found.files, found.batches, found.is_void
        seen.rows, seen.added = found.rows, found.added

        def group(path: str, number: int, table: DeltaTable) -> tuple[pl.DataFrame, int]:
            return StoredPrints(table, tenant_id, data_type).group(path, number, plan.since)

        def ordered(paths: Sequence[str], table: DeltaTable) -> pl.DataFrame:
            return StoredPrints(table, tenant_id, data_type).ordered(paths, plan.since)

        for files in _apart(plan.files) if data_type.definition.is_state else [plan.files]:
            paths = [file.path for file in files]
            if data_type.definition.is_state and not _is_one_batch(files):
                yield self._sink.ask(spec, partial(ordered, paths), is_newest=False)
                continue
            for path in paths:
                number, count = 0, 1
                while number < count:
                    read = partial(group, path, number)
                    rows, count = self._sink.ask(spec, read, is_newest=False)
                    yield rows
                    number += 1

    def stored(self, tenant_id: str, data_type: DataType, keys: pl.Series) -> pl.DataFrame:
        """Return the fingerprints of all stored rows of these keys, however long ago they came.

        Reads every row of the tenant, so it is for rows of which there are few.
        """

        def read(table: DeltaTable) -> list[pl.DataFrame]:
            wanted = keys.unique().alias("key").to_frame()
            stored = StoredPrints(table, tenant_id, data_type)
            return [
                rows.select("key", "payload").join(wanted, on="key", how="semi")
                for file in _files(table, tenant_id)
                for rows in stored.file(file.path)
            ]

        return pl.concat(
            [
                pl.DataFrame(schema=FINGERPRINT_SCHEMA),
                *self._sink.ask(RAW_TABLES[data_type], read),
            ]
        )


def _plan(files: list[_File], stored: StoredPrints, seen: Seen, limit: int) -> _Plan:
    """Return what to read of files that are not in `seen`, and make `seen` say so."""
    paths = {file.path for file in files}
    total = sum(file.rows for file in files)
    gone = _are_gone(seen, paths)
    seen.is_void = gone and (seen.added is None or total != seen.rows + seen.added)
    is_merged = gone and not seen.is_void
    seen.rows, seen.added = total, 0
    if seen.is_void:
        seen.files, seen.batches = set(), set()
    fresh = [
        file
        for file in files
        if not is_merged and file.path not in seen.files and batch_of(file.path) not in seen.batches
    ]
    seen.files = paths
    seen.batches.clear()
    return _newest(fresh, stored, limit)


def _newest(files: list[_File], stored: StoredPrints, limit: int) -> _Plan:
    """Return what to read to have the newest `limit` rows and all that came with the oldest.

    All of a batch becomes known together, and on one day, so what is known since a moment are
    whole batches, whichever files they are in. When rows became known stands in the files alone:
    delta-rs 1.6 tells the bounds of one column of the log, which is another one.
    """
    if sum(file.rows for file in files) < limit:
        return _Plan(files, None)
    found: list[_File] = []
    room = limit
    for _, of_day in groupby(files, key=lambda file: file.day):
        found += [replace(file, moments=stored.moments(file.path)) for file in of_day]
        room = limit - sum(file.rows for file in found)
        if room <= 0:
            break
    moments = pl.concat([file.moments for file in found if file.moments is not None])
    newest = moments.sort("known_at", descending=True)
    since = newest.filter(pl.col("rows").cum_sum() >= limit)["known_at"][0]
    assert isinstance(since, datetime)
    wanted = [file for file in found if file.last >= since]
    return _Plan(sorted(wanted, key=lambda file: (file.first, file.path)), since)


def _are_gone(seen: Seen, paths: set[str]) -> bool:
    """Whether files that were taken in are gone, those of this process's own batches included."""
    if not seen.files <= paths:
        return True
    is_merged = any(batch_of(path) is None for path in paths - seen.files)
    return is_merged and not seen.batches <= {batch_of(path) for path in paths}


def _files(table: DeltaTable, tenant_id: str) -> list[_File]:
    """The tenant's data files, those of the newest day first."""
    adds = pl.DataFrame(table.get_add_actions(flatten=True))
    mine = adds.filter(pl.col("partition.tenant_id") == tenant_id)
    if not mine.height:
        return []
    ordered = mine.sort("partition.ingest_date", "path", descending=True)
    columns = ordered.select("path", "partition.ingest_date", "num_records")
    return [_File(path, day, rows) for path, day, rows in columns.iter_rows()]


def _apart(files: list[_File]) -> Iterator[list[_File]]:
    """Yield files, which come oldest first, together with those that became known meanwhile."""
    together: list[_File] = []
    for file in files:
        if together and file.first > max(one.last for one in together):
            yield together
            together = []
        together.append(file)
    if together:
        yield together


def _is_one_batch(files: list[_File]) -> bool:
    """Whether files, one behind the other, are one batch in the order in which it arrived."""
    is_one = len({batch_of(file.path) for file in files}) == 1
    return is_one and all(file.is_one_batch for file in files)


def _moment(value: object) -> datetime:
    return value if isinstance(value, datetime) else _NEVER
