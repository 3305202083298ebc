"""The parts of a workbook: its sheets, its number formats, which day its dates count from.

The parts are read by the names of their elements alone, in whatever namespace (transitional or
strict); of the styles nothing but number formats is looked at, since many programs write others
that no two readers take alike.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from ingest_service.readers.xlsx.faults import damaged_workbook, too_large
from ingest_service.readers.xlsx.xml_stream import XmlStream
from ingest_service.unpack import (
    FREE_BYTES,
    MAX_RATIO,
    DamagedPackError,
    UnpackedTooLargeError,
)
from ingest_service.zip_archive import PASSWORD_BIT, open_zip
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

SMALL_PART_BYTES: Final = 32 * 1024 * 1024
MOST_SHEETS: Final = 1_000
MOST_STYLES: Final = 100_000
_RELATION: Final = "/officeDocument"
_WORKBOOK: Final = "xl/workbook.xml"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of cells: its number among all sheets, from 1, its name and the part it is in."""

    number: int
    name: str
    part: str
    is_hidden: bool


@dataclass(slots=True)
class Package:
    """An open workbook. `formats`: the number format of each style, by its number."""

    archive: zipfile.ZipFile
    sheets: list[Sheet] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    epoch: datetime = CALENDAR_WINDOWS_1900
    strings_part: str | None = None

    @classmethod
    def open(cls, path: Path) -> "Package":
        """Open a workbook; raises `FileRefusedError`."""
        try:
            package = cls(open_zip(path))
        except UnpackedTooLargeError:
            raise too_large("it has too many parts") from None
        except DamagedPackError:
            raise damaged_workbook("it is cut off") from None
        try:
            package._load()
        except BaseException:
            package.archive.close()
            raise
        return package

    @contextmanager
    def part(self, name: str, most: int | None = None) -> Iterator[IO[bytes]]:
        """Open a part; raises `FileRefusedError` for one that is missing, damaged or too large."""
        try:
            info = self.archive.getinfo(name)
        except KeyError:
            raise damaged_workbook(f"it lacks its part {name[:100]!r}") from None
        if info.flag_bits & PASSWORD_BIT:
            raise FileRefusedError(
                FileFault.PASSWORD_PROTECTED,
                "the workbook is protected with a password",
                remedy="save it without a password",
            )
        if info.file_size > max(FREE_BYTES, MAX_RATIO * info.compress_size):
            raise too_large(f"a part unpacks to more than {MAX_RATIO} times its size")
        if most is not None and info.file_size > most:
            raise too_large(f"its part {name[:100]!r} has more than {most:,} bytes")
        try:
            with self.archive.open(info) as file:
                yield file
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError):
            raise damaged_workbook("a part of it cannot be unpacked") from None

    def _load(self) -> None:
        roots = _Relations()
        self._parse("_rels/.rels", roots)
        start = next((t for kind, t in roots.found.values() if kind.endswith(_RELATION)), _WORKBOOK)
        start = start.lstrip("/")
        book = _Workbook()
        self._parse(start, book)
        folder, name = posixpath.split(start)
        relations = _Relations()
        self._parse(f"{folder}/_rels/{name}.rels", relations)
        parts = {
            key: (kind.rpartition("/")[2], _resolved(folder, target))
            for key, (kind, target) in relations.found.items()
        }
        for number, (title, state, key) in enumerate(book.sheets, 1):
            kind, part = parts.get(key, ("", ""))
            if kind == "worksheet":
                self.sheets.append(Sheet(number, title, part, state not in ("", "visible")))
        if book.counts_from_1904:
            self.epoch = CALENDAR_MAC_1904
        by_kind = dict(parts.values())
        self.strings_part = by_kind.get("sharedStrings")
        if "styles" in by_kind:
            styles = _Styles()
            self._parse(by_kind["styles"], styles)
            self.formats = [styles.format_of(one) for one in styles.used]

    def _parse(self, name: str, stream: XmlStream) -> None:
        with self.part(name, SMALL_PART_BYTES) as file:
            for _ in stream.run(file):
                pass


class _Relations(XmlStream):
    """`found`: kind and target by id."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            kind, target = attributes.get("Type", ""), attributes.get("Target", "")
            self.found[attributes.get("Id", "")] = (kind, target)


class _Workbook(XmlStream):
    """`sheets`: name, state and the relation's id."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str, str]] = []
        self.counts_from_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            if len(self.sheets) >= MOST_SHEETS:
                raise too_large(f"it has more than {MOST_SHEETS:,} sheets")
            key = next((v for k, v in attributes.items() if k.rpartition(":")[2] == "id"), "")
            self.sheets.append((attributes.get("name", ""), attributes.get("state", ""), key))
        elif name == "workbookPr":
            self.counts_from_1904 = attributes.get("date1904", "0") in ("1", "true", "on")


class _Styles(XmlStream):
    """`used`: the number of the format of each style that cells may have."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[int] = []
        self._own: dict[int, str] = {}
        self._is_in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "cellXfs":
            self._is_in_cells = True
        elif name == "numFmt":
            self._own[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name == "xf" and self._is_in_cells:
            if len(self.used) >= MOST_STYLES:
                raise too_large(f"it has more than {MOST_STYLES:,} styles")
            self.used.append(_number(attributes.get("numFmtId")))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._is_in_cells = False

    def format_of(self, number: int) -> str:
        return self._own.get(number) or BUILTIN_FORMATS.get(number) or _EASTERN.get(number, "")


_EASTERN: Final = dict.fromkeys((*range(27, 32), *range(36, 37), *range(50, 59)), "yyyy-mm-dd")
"""Dates of the built-in formats of East Asian versions, whose numbers have no code elsewhere."""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _resolved(folder: str, target: str) -> str:
    if target.startswith("/"):
        return target.lstrip("/")
    return posixpath.normpath(posixpath.join(folder, target))
