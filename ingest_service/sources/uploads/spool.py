"""Request bodies on disk: written as they arrive, gone when nobody needs them any more.

Every file is locked by the process that writes it. A lock ends with its process, so what a killed
process left is found and removed at the next start, while live processes keep theirs.

A file's name says whose it is, hashed. So what an owner has on the disk, that of other processes
and of jobs that wait included, can be summed up at any time, and none fills the others' disk.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import Final

from lakehouse.contracts.tenant import FileFormat
from lakehouse.errors import EtaError
from lakehouse.storage.durable import sync_file, sync_new_folders

SUFFIX: Final = ".upload"
OWNER_CHARACTERS: Final = 12
CHECK_BYTES: Final = 16 * 1024 * 1024


class SpoolQuotaError(EtaError):
    """An owner has as much on the disk as it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "spool_quota"
    retry_after = 60

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the tenant's files that are received or wait to be read have {most:,} bytes",
            remedy="send the file again when those that were sent before are read",
        )


class Spool:
    """A folder of uploads in progress, readable by this user alone.

    An owner may have `owner_bytes` in it; that is looked at every 16 MiB of a file.
    """

    def __init__(self, folder: Path, owner_bytes: int | None = None) -> None:
        self._folder = folder
        self._owner_bytes = owner_bytes

    @contextmanager
    def file(self, owner: str = "") -> Iterator["SpoolFile"]:
        """Create an empty file; it is deleted however the block ends, unless it was kept.

        Raises `SpoolQuotaError`, as writing to it does.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        prefix = hashlib.sha256(owner.encode()).hexdigest()[:OWNER_CHARACTERS]
        check = partial(self._check, prefix)
        check()
        path = self._folder / f"{prefix}-{token_hex(16)}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            spooled = SpoolFile(path, descriptor, check)
            yield spooled
            if not spooled.is_kept:
                path.unlink(missing_ok=True)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def _check(self, prefix: str) -> None:
        if self._owner_bytes is None:
            return
        size = 0
        for path in self._folder.glob(f"{prefix}-*{SUFFIX}"):
            with suppress(FileNotFoundError):  # it has gone meanwhile
                size += path.stat().st_size
        if size >= self._owner_bytes:
            raise SpoolQuotaError(self._owner_bytes)

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
    """An open spool file; `write` appends.

    `charset` and `named` are what its sender declares, if anything: the encoding, and what the file
    is by its name or type. `mapping_text` is the part of the form beside the file that says how it
    is to be read. `packing` is how what it holds was packed; `is_start`: it holds only the start of
    that.
    """

    def __init__(self, path: Path, descriptor: int, check: Callable[[], None]) -> None:
        self.path = path
        self.is_kept = False
        self.charset: str | None = None
        self.mapping_text: bytes | None = None
        self.packing: str | None = None
        self.is_start = False
        self.named: FileFormat | None = None
        self._descriptor = descriptor
        self._check = check
        self._unchecked = 0

    @property
    def name(self) -> str:
        """What `Spool.path` finds it by."""
        return self.path.name

    def sync(self) -> None:
        """Return when the content would survive a power cut."""
        sync_file(self.path)
        sync_new_folders(self.path.parent, self.path.parent)

    def keep(self) -> None:
        """Leave the file where it is when the block ends."""
        self.is_kept = True

    def drop(self) -> None:
        """Delete the file before the block ends, and free its room on the disk."""
        os.ftruncate(self._descriptor, 0)
        self.path.unlink(missing_ok=True)

    def end_at_line(self) -> None:
        """Cut off what follows the last line end, of a file that was cut anywhere."""
        if end := line_end_before(self.path):
            os.ftruncate(self._descriptor, end)

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises `OSError` when the disk is full, and `SpoolQuotaError`."""
        self._unchecked += len(data)
        if self._unchecked >= CHECK_BYTES:
            self._check()
            self._unchecked = 0
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def line_end_before(path: Path) -> int:
    """Return where the last line of a file ends, as a size; 0 when its last 16 MiB have none."""
    start = max(0, path.stat().st_size - CHECK_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        end = file.read().rfind(b"\n") + 1
    return start + end if end else 0


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
