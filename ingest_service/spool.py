"""Request bodies on disk: written as they arrive, gone when nobody needs them any more.

Every file is locked by the process that writes it. A lock ends with its process, so what a killed
process left is found and removed at the next start, while live processes keep theirs.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
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
        """Create an empty file; it is deleted however the block ends, unless it was kept."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{token_hex(16)}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            spooled = SpoolFile(path, descriptor)
            yield spooled
            if not spooled.is_kept:
                path.unlink(missing_ok=True)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def path(self, name: str) -> Path:
        """Return where a file that was kept stands."""
        return self._folder / name

    def clean(self, is_needed: Callable[[str], bool] = lambda _: False) -> int:
        """Delete the files of processes that no longer live; return how many.

        A file that `is_needed` by its name stays. It is asked once nobody else can hold the file,
        so whoever kept it has said so by then.
        """
        return sum(_drop_abandoned(path, is_needed) for path in self._folder.glob(f"*{SUFFIX}"))


class SpoolFile:
    """An open spool file; `write` appends. `charset` is what its sender declares, if anything."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.is_kept = False
        self.charset: str | None = None
        self._descriptor = descriptor

    @property
    def name(self) -> str:
        """What `Spool.path` finds it by."""
        return self.path.name

    def sync(self) -> None:
        """Return when the content would survive a power cut."""
        os.fsync(self._descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def keep(self) -> None:
        """Leave the file where it is when the block ends."""
        self.is_kept = True

    def drop(self) -> None:
        """Delete the file before the block ends."""
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises `OSError` when the disk is full."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def _drop_abandoned(path: Path, is_needed: Callable[[str], bool]) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_needed(path.name):
            return False
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
