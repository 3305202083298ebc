"""Zip archives: one that holds a single file is a packing of it, and a workbook is one as well.

What an archive says of itself is not believed: its list of members is looked at before it is read,
and what comes out is counted while it comes, as in `unpack`.
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from ingest_service.unpack import (
    FREE_BYTES,
    MAX_RATIO,
    PIECE_BYTES,
    DamagedPackError,
    UnpackedTooLargeError,
    packing_of,
    unpacked,
)
from lakehouse.errors import EtaError

ZIP: Final = "zip"
PASSWORD_BIT: Final = 1
MOST_MEMBERS: Final = 10_000
MOST_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
SHOWN_NAMES: Final = 10

_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_COMMENT_BYTES: Final = 65_535
_IS_ELSEWHERE: Final = 0xFFFFFFFF
_DOCUMENTS: Final = ("[Content_Types].xml", "mimetype")
"""A member of this name: the archive is a document of some program."""
_LITTER: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)


class PackRefusedError(EtaError):
    """An archive that is in order and all the same not what one file is; `code` says why."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, code: str, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


def is_zip(start: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return start.startswith(_MAGIC)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive, once its list of members is known to be small.

    Raises `DamagedPackError` and `UnpackedTooLargeError`.
    """
    try:
        count, size = _directory(path)
        if count > MOST_MEMBERS or size > MOST_DIRECTORY_BYTES:
            raise UnpackedTooLargeError(
                f"the zip archive has more than {MOST_MEMBERS:,} members, or too long names",
                remedy="send one file",
            )
        return zipfile.ZipFile(path)
    except _ERRORS:
        raise _damaged() from None


def members(path: Path) -> list[str]:
    """Return the names of an archive's members; raises as `open_zip` does."""
    with open_zip(path) as archive:
        return archive.namelist()


def is_zip_of_files(path: Path) -> bool:
    """Whether a file is a zip archive, and no document of some program; raises as `open_zip`."""
    with path.open("rb") as file:
        if not is_zip(file.read(len(_MAGIC[0]))):
            return False
    return not any(name in _DOCUMENTS for name in members(path))


def packing_of_file(path: Path) -> str | None:
    """Return how a file is packed, None when it is not; a workbook, which is a zip archive, is not.

    Raises as `open_zip` does.
    """
    return ZIP if is_zip_of_files(path) else packing_of(path)


def unpacked_file(path: Path, packing: str, limit: int) -> Iterator[bytes]:
    """Yield what a packed file holds, in pieces; raises as `unpacked_member` and `unpacked` do."""
    if packing == ZIP:
        return unpacked_member(path, limit)
    return unpacked(path, packing, limit)


def nested_archive() -> PackRefusedError:
    """Return what to raise for a packed file that holds another."""
    return PackRefusedError(
        "nested_archive",
        "the file is packed twice: what it unpacks to is packed, or an archive",
        remedy="pack it once, or send it unpacked",
    )


def unpacked_member(path: Path, limit: int) -> Iterator[bytes]:
    """Yield the content of the one file of an archive, in pieces of about 1 MiB.

    Folders and what file managers add do not count. Raises `PackRefusedError` for several files,
    none, or one with a password; and what `unpack.Unpacker` raises.
    """
    with open_zip(path) as archive:
        member = _only_file(archive)
        size = 0
        try:
            with archive.open(member) as file:
                while piece := file.read(PIECE_BYTES):
                    size += len(piece)
                    _check_size(size, member.compress_size, limit)
                    yield piece
        except NotImplementedError:
            raise PackRefusedError(
                "unsupported_format",
                "the file in the zip archive is packed in a way that is not read",
                remedy="pack it again as a plain zip file, or as gzip",
            ) from None
        except _ERRORS:
            raise _damaged() from None


def names_shown(names: list[str]) -> str:
    """Return a list of names for a message, the first of them."""
    shown = [repr("".join(c if c.isprintable() else "?" for c in n[:80])) for n in names]
    more = len(shown) - SHOWN_NAMES
    return ", ".join(shown[:SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not _is_litter(info)]
    if not files:
        raise PackRefusedError(
            "empty_file", "the zip archive holds no file", remedy="pack the file again"
        )
    if len(files) > 1:
        raise PackRefusedError(
            "several_files",
            f"the zip archive holds {len(files):,} files: "
            f"{names_shown([info.filename for info in files])}",
            remedy="send them one by one; `eta upload` takes a folder",
        )
    if files[0].flag_bits & PASSWORD_BIT:
        raise PackRefusedError(
            "password_protected",
            "the file in the zip archive is protected with a password",
            remedy="pack it without a password",
        )
    return files[0]


def _is_litter(info: zipfile.ZipInfo) -> bool:
    name = info.filename.rpartition("/")[2]
    return info.is_dir() or info.filename.startswith("__MACOSX/") or name in _LITTER


def _check_size(size: int, packed: int, limit: int) -> None:
    is_over = size > limit
    if is_over or (size > FREE_BYTES and size > MAX_RATIO * packed):
        raise UnpackedTooLargeError(
            "the file in the zip archive unpacks to more than "
            + (f"{limit:,} bytes" if is_over else f"{MAX_RATIO} times its size"),
            remedy="split what it holds; of a CSV file, each part with the header",
        )


def _directory(path: Path) -> tuple[int, int]:
    """Return how many members an archive says that it has, and the bytes of their list."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size - _COMMENT_BYTES))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise _damaged()
        *_, count, directory, offset, _ = _END.unpack_from(tail, at)
        before = at - _LOCATOR.size
        if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
            _, _, where, _ = _LOCATOR.unpack_from(tail, before)
            file.seek(where)
            found = _END64.unpack(file.read(_END64.size))
            return max(count if count != 0xFFFF else 0, found[-3]), found[-2]
        if _IS_ELSEWHERE in (directory, offset):
            raise _damaged()
        return count, directory


def _damaged() -> DamagedPackError:
    return DamagedPackError(
        "the zip archive is damaged or cut off",
        remedy="pack it again, or send the file unpacked",
    )
