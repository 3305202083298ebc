"""Which batches senders were told to be stored: evidence that stands apart from the tables.

A ledger row without its batch in raw is either of an attempt that died before its answer, and may
go, or of a batch that was acknowledged and is lost, and must be reported. The tables alone cannot
tell the two apart. So each acknowledged batch is a line in a file beside them, written after raw's
commit and before the answer; with syncing off (`ETA_SYNC`) these lines are synced all the same.

A process appends to a file of its own per day. Lines hold ids and numbers, nothing personal. They
are kept for as long as raw can be asked about a batch. An object store keeps what it has answered,
so there nothing is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Final

import polars as pl

from lakehouse.storage.durable import sync_file, sync_new_folders
from lakehouse.storage.lake import Lake

FOLDER: Final = "ops/acknowledged"
SUFFIX: Final = ".csv"
KEPT: Final = timedelta(days=29)
"""Application transactions, by which raw is asked about a batch, are kept for 30 days."""
STORED: Final = "+"
GIVEN_UP: Final = "-"
_END: Final = "."
"""The last field of a line: one without it was cut off."""
_LINE: Final = re.compile(rb"[+-],[^,]+,[a-z]+,[^,]+,\d+,\d+,-?\d+,\.")
_SCHEMA: Final = pl.Schema(
    {
        "mark": pl.String,
        "tenant_id": pl.String,
        "data_type": pl.String,
        "batch_id": pl.String,
        "replay": pl.Int32,
        "attempt": pl.Int64,
        "known_at": pl.Int64,
        "end": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A batch or replay, and its attempt that raw has; `known_at` is UTC."""

    tenant_id: str
    data_type: str
    batch_id: str
    replay: int
    attempt: int
    known_at: datetime


class AcknowledgementLog:
    """Writes the lines of one process; for several threads."""

    def __init__(self, lake: Lake) -> None:
        self._folder = lake.disk(FOLDER)
        self._syncs = lake.sync_root is None
        self._name = token_hex(8)
        self._lock = Lock()

    def add(self, batch: Acknowledged, mark: str = STORED) -> None:
        """Write that a batch is acknowledged; raises `OSError`, and then it must not be.

        With syncing on the batch itself is on disk already, and the line may follow: it is for
        what happens to the disk later.
        """
        if self._folder is None:
            return
        micros = int(batch.known_at.timestamp() * 1_000_000)
        fields = (mark, batch.tenant_id, batch.data_type, batch.batch_id, batch.replay)
        line = ",".join(map(str, (*fields, batch.attempt, micros, _END))) + "\n"
        path = self._folder / f"{batch.known_at:%Y%m%d}-{self._name}{SUFFIX}"
        with self._lock:
            is_new = not path.exists()
            if is_new:
                self._folder.mkdir(parents=True, exist_ok=True)
            _append(path, line.encode())
            if self._syncs:
                sync_file(path)
                if is_new:
                    sync_new_folders(self._folder, self._folder.parent.parent)


def acknowledged(lake: Lake, since: date, now: datetime) -> pl.DataFrame:
    """Return what was acknowledged since a day and not given up later; the newest 29 days.

    Columns are the fields of `Acknowledged`, one row per batch or replay and attempt.
    """
    first = max(since, (now - KEPT).date())
    frames = [_lines(path) for day, path in _files(lake) if day >= first]
    return _kept(pl.concat(frames) if frames else pl.DataFrame(schema=_SCHEMA))


def nothing_acknowledged() -> pl.DataFrame:
    """Return what `acknowledged` does of a new lake."""
    return _kept(pl.DataFrame(schema=_SCHEMA))


def _kept(rows: pl.DataFrame) -> pl.DataFrame:
    keys = ["tenant_id", "data_type", "batch_id", "replay", "attempt"]
    given_up = rows.filter(pl.col("mark") == GIVEN_UP)
    kept = rows.filter(pl.col("mark") == STORED).join(given_up, on=keys, how="anti")
    known_at = pl.from_epoch("known_at", "us").dt.replace_time_zone("UTC")
    return kept.select(*keys, known_at).unique()


def give_up(lake: Lake, tenant_id: str, batch_id: str, now: datetime) -> int:
    """Take back the acknowledgement of a batch and its replays; return how many there were."""
    rows = acknowledged(lake, (now - KEPT).date(), now).filter(
        pl.col("tenant_id") == tenant_id, pl.col("batch_id") == batch_id
    )
    log = AcknowledgementLog(lake)
    for row in rows.iter_rows():
        log.add(Acknowledged(*row), GIVEN_UP)
    return rows.height


def drop_old(lake: Lake, now: datetime) -> int:
    """Delete the files of days that raw cannot be asked about any more; return how many."""
    old = [path for day, path in _files(lake) if day < (now - KEPT).date()]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        try:
            if os.write(handle, line) < len(line):
                raise OSError(28, os.strerror(28))
        except OSError:
            os.ftruncate(handle, size)  # half a line would take the next one with it
            raise
    finally:
        os.close(handle)


def _files(lake: Lake) -> Iterator[tuple[date, Path]]:
    folder = lake.disk(FOLDER)
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder else ():
        yield datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC).date(), path


def _lines(path: Path) -> pl.DataFrame:
    """Return the whole lines of a file; one that was cut off was not acknowledged."""
    whole = [line for line in path.read_bytes().split(b"\n") if _LINE.fullmatch(line)]
    if not whole:
        return pl.DataFrame(schema=_SCHEMA)
    return pl.read_csv(b"\n".join(whole), has_header=False, schema=_SCHEMA, quote_char=None)
