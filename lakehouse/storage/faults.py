"""What is wrong when storage fails, in words for the operator, and as an error with a remedy.

delta-rs, pyarrow and SQLite each tell a full disk in their own way; callers ask here instead of
reading texts.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from lakehouse.errors import EtaError

Fault = Literal["full", "read_only"]

RETRY_SECONDS: Final = 5
"""When a sender may try again: by then a handle is opened again, or the operator was alarmed."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_SQLITE: Final[dict[int, Fault]] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
}
_OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")


class StorageError(EtaError):
    """The storage cannot take or give rows now; whoever sends again stores nothing twice."""

    retry_after = RETRY_SECONDS


class TableUnavailableError(StorageError):
    """A table cannot be read or committed to, also not by a handle that was opened anew."""


class StorageFullError(StorageError):
    """No room is left where the lake, the spool or the control database stands."""


class StorageReadOnlyError(StorageError):
    """The lake, the spool or the control database may be read and not written."""


def fault_of(error: BaseException) -> Fault | None:
    """Return whether a full or a write-protected disk is behind an error."""
    for one in _chain(error):
        if isinstance(one, StorageFullError):
            return "full"
        if isinstance(one, StorageReadOnlyError):
            return "read_only"
        if isinstance(one, sqlite3.Error):
            code = getattr(one, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in _SQLITE:
                return _SQLITE[code & 0xFF]
        number = _number(one)
        if number in FULL:
            return "full"
        if number in READ_ONLY:
            return "read_only"
    return None


def storage_error(error: BaseException, where: str) -> StorageError:
    """Return an error for people in the place of one that storage raised; `where` is a place."""
    if isinstance(error, StorageError):
        return error
    match fault_of(error):
        case "full":
            return full_error(where)
        case "read_only":
            return StorageReadOnlyError(
                f"{where} cannot be written: its disk or folder is read-only",
                remedy="mount it writable, or give the service's user the right to write there",
            )
        case _:
            return TableUnavailableError(
                f"{where} cannot be used now ({type(error).__qualname__})",
                remedy="try again; when it stays so, `eta ledger check` names the damaged file "
                "and what to do",
            )


def full_error(where: str) -> StorageFullError:
    """Return the error of a full disk."""
    return StorageFullError(
        f"no room is left on the disk of {where}",
        remedy="free room there: `eta tables clean` drops what nobody needs; then send it again",
    )


def is_fault(error: BaseException) -> bool:
    """Whether an error is one of storage's; a panic of delta-rs is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        origin = getattr(error, "orig", None)  # the driver's, inside SQLAlchemy's
        if isinstance(origin, BaseException):
            yield origin
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """Return the number of an operating system's error, delta-rs' texts included."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, EtaError):
        return None
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Raise what the operating system refuses in this block as a `StorageError` of `where`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, where) from error
