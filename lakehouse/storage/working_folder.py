"""A folder that becomes another at the end, and that a killed process leaves to its successor.

It stands beside its place, hidden, under a name that follows from that of the place: who comes
next finds it. Whoever works in it holds a lock on it, which ends with the process, however that
ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lakehouse.storage.durable import sync_folder

_ENDING: Final = ".partial"
LOCK: Final = ".lock"
"""Ending of the file that is locked in place of a folder."""


class FolderInUseError(Exception):
    """A living process works in the folder."""


def working_place(path: Path) -> Path:
    """Return the hidden folder in which `path` is made."""
    return path.with_name(f".{path.name}{_ENDING}")


@contextmanager
def working_folder(path: Path) -> Iterator[Path]:
    """Give a folder that becomes `path` at the end of the block, synced.

    What a killed process left in it is there still. An error in the block deletes it. Nobody else
    is in it meanwhile: `FolderInUseError` is raised for a second one at once. Raises `OSError`
    when `path` is there by the end, and holds anything.
    """
    folder = working_place(path)
    with _locked(folder):
        try:
            yield folder
            folder.rename(path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    sync_folder(path.parent)


def left_behind(place: Path) -> list[Path]:
    """Return the hidden folders in `place` that killed processes have left, in order of names.

    Those in which a living process works are not among them. None where `place` is no folder.
    """
    if not place.is_dir():
        return []
    found = sorted(place.glob(f".*{_ENDING}"))
    return [one for one in found if one.is_dir() and not one.is_symlink() and _is_free(one)]


def remove_left(folder: Path) -> bool:
    """Delete a folder that a killed process left; False when a living one works in it."""
    try:
        with _locked(folder):
            shutil.rmtree(folder)
    except FolderInUseError:
        return False
    return True


def _is_free(folder: Path) -> bool:
    try:
        with _locked(folder):
            return True
    except (FolderInUseError, OSError):
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder if need be and hold a lock on it.

    The lock is on the folder itself, and moves with it. Where folders cannot be locked (NFS), it is
    on a file beside it, which is deleted at the end.
    """
    file = folder.with_suffix(LOCK)
    lock: int | None = None
    locks_file = False
    while lock is None:
        folder.mkdir(exist_ok=True)
        try:
            lock = _lock(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in _CANNOT_LOCK:
                raise
            locks_file = True
            lock = _lock(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    try:
        folder.mkdir(exist_ok=True)  # whoever had the file before may have renamed it
        yield
    finally:
        if locks_file:
            file.unlink(missing_ok=True)
        os.close(lock)


_CANNOT_LOCK: Final = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def _lock(path: Path, flags: int) -> int | None:
    """Return the open path with a lock that ends when it is closed; None if its name has gone."""
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:  # its owner has just ended
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            return descriptor
    except FileNotFoundError:
        pass
    except BlockingIOError as error:
        os.close(descriptor)
        raise FolderInUseError(path) from error
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
