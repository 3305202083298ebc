"""A folder that becomes another at the end, and that a killed process leaves to its successor.

It stands beside its place, hidden, under a name that follows from that of the place: who comes
next finds it. Whoever works in it holds a lock on it, which ends with the process, however that
ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.storage.durable import sync_folder


class FolderInUseError(Exception):
    """A living process works in the folder."""


def working_place(path: Path) -> Path:
    """Return the hidden folder in which `path` is made."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def working_folder(path: Path) -> Iterator[Path]:
    """Give a folder that becomes `path` at the end of the block, synced.

    What a killed process left in it is there still. An error in the block deletes it. Nobody else
    is in it meanwhile: `FolderInUseError` is raised for a second one at once. Raises `OSError`
    when `path` is there by the end, and holds anything.
    """
    folder = working_place(path)
    lock = _locked(folder)
    try:
        try:
            yield folder
            folder.rename(path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        os.close(lock)
    sync_folder(path.parent)


def _locked(folder: Path) -> int:
    """Return the open folder, made if need be, with a lock that ends when it is closed."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:  # its owner has just ended
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(folder, descriptor):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise FolderInUseError(folder) from error
        os.close(descriptor)


def _is_at(folder: Path, descriptor: int) -> bool:
    """Whether the open folder still has its name: its owner may have renamed it meanwhile."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
