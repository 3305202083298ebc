"""Request bodies on disk: written as they arrive, gone when the request is over.

Every file is locked by the process that writes it. A lock ends with its process, so what a killed
process left is found and removed at the next start, while live processes keep theirs.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final

SUFFIX: Final = ".upload"


class Spool:
    """A folder of uploads in progress, readable by this user alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def file(self) -> Iterator["SpoolFile"]:
        """Create an empty file; it is deleted however the block ends."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{token_hex(16)}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield SpoolFile(path, descriptor)
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def clean(self) -> int:
        """Delete the files of processes that no longer live; return how many."""
        removed = 0
        for path in self._folder.glob(f"*{SUFFIX}"):
            if _is_abandoned(path):
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class SpoolFile:
    """An open spool file; `write` appends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises `OSError` when the disk is full."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
