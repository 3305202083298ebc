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
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.settings import LakeSettings

LOG: Final = "_delta_log"
HINT: Final = "_last_checkpoint"


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

    For several threads. Keeps in mind which folders and log entries are on disk already.
    """

    def __init__(self, settings: LakeSettings) -> None:
        self.is_on = settings.is_local and settings.sync
        self._root = Path(settings.lake) if settings.is_local else Path()
        self._lock = Lock()
        self._folders: set[tuple[int, int]] = set()
        self._files: set[Path] = set()
        self._logs: dict[str, tuple[int, int]] = {}

    def data_files(self, table: str, names: Iterable[str]) -> None:
        """Sync data files of the table at a path of the lake, and their folders, each once."""
        if not self.is_on:
            return
        paths = [self._root / table / name for name in names]
        for path in paths:
            sync_file(path)
        for folder in {path.parent for path in paths}:
            self._entries(folder)
        with self._lock:
            self._files.update(paths)

    def log(self, table: str) -> None:
        """Sync a table's log as it stands now, and the files that its new entries add."""
        if not self.is_on:
            return
        log = self._root / table / LOG
        with self._lock:
            done, hint = self._logs.get(table, (-1, 0))
        changed = _changed_at(log / HINT)
        if changed != hint:
            done = max(done, self._checkpoint(log) - 1)  # older entries are not read any more
        start = done
        while self._entry(log, done + 1):
            done += 1
        if done == start and changed == hint:
            return
        sync_folder(log)
        self._above(log.parent)
        with self._lock:
            self._logs[table] = (max(done, self._logs.get(table, (-1, 0))[0]), changed)

    def _entry(self, log: Path, number: int) -> bool:
        """Sync an entry of a log and the files it adds; False when there is none."""
        path = log / f"{number:020}.json"
        try:
            sync_file(path)
        except FileNotFoundError:
            return False
        names = {log.parent / name for name in _added(path)}
        with self._lock:
            own = self._files & names
            self._files -= own  # an entry names its files once
        for name in names - own:
            with suppress(FileNotFoundError):  # removed by a later entry, and vacuumed
                sync_file(name)
                self._entries(name.parent)
        return True

    def _checkpoint(self, log: Path) -> int:
        """Sync the newest checkpoint; return its version, 0 when there is none."""
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            version = int(json.loads((log / HINT).read_bytes())["version"])
            for part in log.glob(f"{version:020}.checkpoint*.parquet"):
                sync_file(part)
            sync_file(log / HINT)
            return version
        return 0

    def _entries(self, folder: Path) -> None:
        sync_folder(folder)
        self._above(folder)

    def _above(self, folder: Path) -> None:
        """Sync the entries of a folder and of those above it that may be new."""
        for one in (folder, *folder.parents):
            if one == self._root.parent:
                return
            known = one.stat()
            with self._lock:
                if (known.st_dev, known.st_ino) in self._folders:
                    return
            sync_folder(one.parent)
            with self._lock:
                self._folders.add((known.st_dev, known.st_ino))


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
