"""Makes files survive a power cut: every sync of the lake and of the spool goes through here.

A file that was written, and the entry of its folder, are in memory only until they are synced. A
2xx means that both are on disk, and so are the folders that were made for the file. delta-rs syncs
nothing, so what it wrote is synced by its path before a batch is acknowledged.

A table's log is read from the front: an entry that is cut off takes the later ones with it. So
every entry up to the newest is synced, whoever wrote it, with the files that it adds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import unquote

from lakehouse.storage.lake import Lake

LOG: Final = "_delta_log"
HINT: Final = "_last_checkpoint"
THREADS: Final = 8
MOST_FILES: Final = 10_000


def sync_file(path: Path) -> None:
    """Return when the content of a file is on disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Return when the names of a folder's files are on disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_new_folders(folder: Path, root: Path) -> None:
    """Sync a folder and those above it up to `root` and its own entry: some may be new."""
    for one in (folder, *folder.parents):
        sync_folder(one)
        if one == root.parent:
            return


class LakeSync:
    """Syncs what one process commits to a local lake; does nothing for an object store.

    For several threads. Keeps in mind which folders and log entries are on disk already. What is
    synced together is synced side by side: the disk then writes its journal once for all.
    """

    def __init__(self, lake: Lake) -> None:
        root = lake.sync_root
        self.is_on = root is not None
        self._root = root or Path()
        self._lock = Lock()
        self._folders: set[tuple[int, int]] = set()
        self._files: set[Path] = set()
        self._logs: dict[Path, _Synced] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sync")

    def data_files(self, names: Iterable[tuple[str, str]]) -> None:
        """Sync data files, each named by its table's path in the lake and its own in the table."""
        if not self.is_on:
            return
        paths = {self._root / table / name for table, name in names}
        self._all(paths, self._with_new({path.parent for path in paths}))
        with self._lock:
            if len(self._files) > MOST_FILES:  # of batches that came to nothing
                self._files.clear()
            self._files |= paths

    def logs(self, tables: Iterable[str]) -> None:
        """Sync the logs of tables as they stand now, and the files that their new entries add."""
        if not self.is_on:
            return
        synced: dict[Path, _Synced] = {}
        files: set[Path] = set()
        folders: set[Path] = set()
        for log in (self._root / table / LOG for table in tables):
            with self._lock:
                before = self._logs.get(log, _Synced(-1, 0))
            after, new = self._since(log, before)
            if after != before:
                synced[log] = after
                files |= new
                folders |= {log, *(path.parent for path in new if path.parent != log)}
        self._all(files, self._with_new(folders))
        with self._lock:
            for log, after in synced.items():
                known = self._logs.get(log, after)
                self._logs[log] = max(after, known, key=lambda one: one.version)

    def _since(self, log: Path, before: _Synced) -> tuple[_Synced, set[Path]]:
        """Return how far a log has come, and the files of it that may not be on disk."""
        new: set[Path] = set()
        done, hint = before.version, _changed_at(log / HINT)
        if hint != before.hint:
            version, parts = _checkpoint(log)
            done = max(done, version - 1)  # older entries are not read any more
            new |= parts
        while True:
            entry = log / f"{done + 1:020}.json"
            try:
                added = {log.parent / name for name in _added(entry)}
            except FileNotFoundError:
                return _Synced(done, hint), new
            with self._lock:
                own = self._files & added
                self._files -= own  # an entry names its files once
            new |= {entry, *(added - own)}
            done += 1

    def _with_new(self, folders: set[Path]) -> set[Path]:
        """Return folders, and those above them whose entries may be new."""
        found = set(folders)
        for folder in folders:
            for one in (folder, *folder.parents):
                if one == self._root.parent:
                    break
                try:
                    known = one.stat()
                except FileNotFoundError:  # with all its files
                    found.discard(one)
                    continue
                if (known.st_dev, known.st_ino) in self._folders:
                    break
                found.add(one.parent)
        return found

    def _all(self, files: set[Path], folders: set[Path]) -> None:
        """Sync files and folders; one that is gone needs no sync."""
        list(self._threads.map(_sync_if_there, [*files, *folders]))
        with self._lock:
            for folder in folders:
                with suppress(FileNotFoundError):
                    known = folder.stat()
                    if folder.parent in folders:
                        self._folders.add((known.st_dev, known.st_ino))


@dataclass(frozen=True, slots=True)
class _Synced:
    """Up to which version a log is on disk, and when its newest checkpoint was named."""

    version: int
    hint: int


def _sync_if_there(path: Path) -> None:
    with suppress(FileNotFoundError):
        (sync_folder if path.is_dir() else sync_file)(path)


def _checkpoint(log: Path) -> tuple[int, set[Path]]:
    """Return the version of the newest checkpoint, 0 if there is none, and its files."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        version = int(json.loads((log / HINT).read_bytes())["version"])
        return version, {log / HINT, *log.glob(f"{version:020}.checkpoint*.parquet")}
    return 0, set()


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _added(entry: Path) -> Iterator[str]:
    """Yield the paths of the files that a log entry adds."""
    with entry.open("rb") as lines:
        for line in lines:
            if line.startswith(b'{"add"'):
                yield unquote(json.loads(line)["add"]["path"])


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
