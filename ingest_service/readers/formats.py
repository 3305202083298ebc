"""What a file is, by its content: the name and the declared type are hints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest_service.unpack import DamagedPackError, UnpackedTooLargeError, packing_of
from ingest_service.zip_archive import is_zip, members
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.tenant import FileFormat

START_BYTES: Final = 4096
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PIECE_BYTES: Final = 1024 * 1024
_SAVE: Final = "save it as 'Excel Workbook (.xlsx)' or as 'CSV UTF-8'"
_TAR_AT: Final = 257


@dataclass(frozen=True, slots=True)
class _Kind:
    what: str
    remedy: str


_EXPORT: Final = "export the rows as CSV, JSON lines, .xlsx, Parquet or Avro"
_UNPACK: Final = "unpack it and send the files one by one; `eta upload` takes a folder"
_BINARY: Final = {
    b"%PDF-": _Kind("a PDF document", _EXPORT),
    b"\x89PNG\r\n": _Kind("a picture", _EXPORT),
    b"\xff\xd8\xff": _Kind("a picture", _EXPORT),
    b"GIF8": _Kind("a picture", _EXPORT),
    b"7z\xbc\xaf\x27\x1c": _Kind("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": _Kind("a RAR archive", _UNPACK),
    b"SQLite format 3\0": _Kind("an SQLite database", _EXPORT),
    b"ARROW1\0\0": _Kind("an Arrow (Feather) file", "write it as Parquet"),
    b"\x89HDF\r\n": _Kind("an HDF5 file", _EXPORT),
}
_PAGES: Final = (b"<!doctype html", b"<html", b"<?xml")


def content_format(path: Path, hint: FileFormat | None = None) -> FileFormat:
    """Return what a file holds; raises `FileRefusedError` for what is not read at all.

    `hint`: what its name says, believed of a text that could be CSV or JSON.
    """
    found = binary_format(path)
    if found is not None:
        return found
    start = _start(path)
    text = _text(start).lstrip().lower()
    if text.encode("utf-8", "replace").startswith(_PAGES):
        kind = "a web page or XML"
        raise _unsupported(_Kind(kind, f"open it in a browser to see what it says; {_EXPORT}"))
    return FileFormat.JSON if _is_json(_text(start), hint) else FileFormat.CSV


def binary_format(path: Path) -> FileFormat | None:
    """Return what a file holds that is no text, None for a text.

    Raises `FileRefusedError` for what is not read at all.
    """
    start = _start(path)
    if start.startswith((b"PAR1", b"PARE")) and _is_binary(start):
        return FileFormat.PARQUET
    if start.startswith(b"Obj\x01"):
        return FileFormat.AVRO
    if is_zip(start):
        return _zipped(path)
    if start.startswith(_OLE):
        raise _compound(path)
    for magic, kind in _BINARY.items():
        if start.startswith(magic):
            raise _unsupported(kind)
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise _unsupported(_Kind("a tar archive", _UNPACK))
    if start.startswith(b"ORC") and _is_binary(start):
        raise _unsupported(_Kind("an ORC file", "write it as Parquet"))
    if packing_of(path) is not None:
        raise _unsupported(_Kind("a packed file within another", "pack it once"))
    return None


def can_be_cut(start: bytes) -> bool:
    """Whether the start of a file can be read without its end: that of text can."""
    return not (start.startswith((b"PAR1", b"PARE", b"Obj\x01")) or is_zip(start))


def wrong_format(found: FileFormat, wanted: FileFormat) -> FileRefusedError:
    """Return what to raise for a file that was sent as something else."""
    return FileRefusedError(
        FileFault.WRONG_FORMAT,
        f"the file was sent as {shown(wanted)}, and its content is {shown(found)}",
        remedy="send it to /internal/data/uploads, or with `eta upload FILE` without --format: the "
        "format is found out",
    )


def shown(one: FileFormat) -> str:
    """Return a format as people call it."""
    return {
        FileFormat.XLSX: "an Excel workbook",
        FileFormat.PARQUET: "Parquet",
        FileFormat.AVRO: "Avro",
    }.get(one, one.value.upper())


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START_BYTES)


def _is_binary(start: bytes) -> bool:
    return any(byte < 9 for byte in start[:64])


def _text(start: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if start.startswith(mark):
            return start[2:].decode(encoding, "replace")
    return start.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def _is_json(text: str, hint: FileFormat | None) -> bool:
    """Whether a text begins as an object, or as an array of objects; a header may, too."""
    text = text.lstrip()
    if not text.startswith(("{", "[")):
        return False
    rest = text[1:].lstrip()
    follows = ('"', "}") if text[0] == "{" else ("{", "]")
    return hint is FileFormat.JSON or rest.startswith(follows)


def _zipped(path: Path) -> FileFormat:
    try:
        names = set(members(path))
    except (DamagedPackError, UnpackedTooLargeError) as error:
        raise FileRefusedError(
            FileFault.DAMAGED_FILE,
            "the file begins as a workbook or zip archive does, and is damaged or cut off",
            remedy=error.remedy,
        ) from None
    if any(name.endswith("/workbook.xml") for name in names):
        return FileFormat.XLSX
    if any(name.endswith("/workbook.bin") for name in names):
        raise _unsupported(_Kind("a binary Excel workbook (.xlsb)", _SAVE))
    if "mimetype" in names:
        raise _unsupported(_Kind("an OpenDocument file (.ods)", _SAVE))
    if "[Content_Types].xml" in names:
        raise _unsupported(_Kind("an Office document that is no workbook", _EXPORT))
    raise _unsupported(_Kind("a zip archive within a packed file", _UNPACK))


def _compound(path: Path) -> FileRefusedError:
    if _holds(path, _ENCRYPTED):
        return FileRefusedError(
            FileFault.PASSWORD_PROTECTED,
            "the workbook is protected with a password",
            remedy="save it without one (File, Info, Protect Workbook, Encrypt with Password: "
            "leave it empty)",
        )
    return _unsupported(_Kind("an old Excel workbook (.xls) or another old Office file", _SAVE))


def _holds(path: Path, wanted: bytes) -> bool:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            if wanted in before + piece:
                return True
            before = piece[-len(wanted) :]
    return False


def _unsupported(kind: _Kind) -> FileRefusedError:
    return FileRefusedError(
        FileFault.UNSUPPORTED_FORMAT,
        f"the file is {kind.what}, which is not read",
        remedy=kind.remedy,
    )
