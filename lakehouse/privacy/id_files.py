"""Reads files of identifiers: CSV of one column, or JSON lines.

How such a file was made (its encoding, line ends, quotes, a heading) is no part of an identifier,
and is taken off; whatever is ambiguous is refused with its line, never taken for an identifier.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from lakehouse.contracts.characters import folded
from lakehouse.errors import EtaError
from lakehouse.privacy.id_objects import HEADINGS, NAMES, ids_of, is_object

SHOWN_LINES: Final = 20
LONGEST: Final = 512
"""Characters of an identifier."""

_SEPARATORS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_ANY_SIZE: Final = 1 << 30
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_NONE: Final = "\x1f"
"""Separator of columns that no file has: a comma is a part of an identifier."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier of a request; `line` is None for one that came from no file.

    `as_written` differs from `text` where white space around it was taken off.
    """

    text: str = field(repr=False)
    line: int | None = None
    as_written: str = field(default="", repr=False)
    is_field: bool = False
    """Whether it is the field of an object, and so no heading."""

    @property
    def is_trimmed(self) -> bool:
        """Whether white space around it was taken off."""
        return bool(self.as_written) and self.as_written != self.text


@dataclass(frozen=True, slots=True)
class IdFile:
    """What was read from a file: identifiers in their order, and its heading, if it has one."""

    identifiers: tuple[Identifier, ...]
    heading: str | None = None
    is_json: bool = False
    notes: tuple[str, ...] = ()
    """What to tell about its lines, without naming an identifier."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to tell about how it was read."""
        told = () if self.heading is None else (f"line 1, {self.heading}, is taken for a heading",)
        return (*told, *self.notes)


def read_ids(path: Path) -> IdFile:
    """Read a file of identifiers.

    UTF-8, or UTF-16 or UTF-32 with a byte order mark. JSON lines are texts, numbers (as they are
    written), or objects with a field of `NAMES`: of several ids of people in one, each is taken.
    Anything else is CSV of one column: an identifier may be quoted, and keeps white space around
    it, commas and semicolons only if it is. A first line that is a name of `NAMES` is a heading.
    Raises `EtaError`, with the line, for what can be read in two ways.
    """
    text = _decoded(path.read_bytes())
    suffix = path.suffix.lower()
    lines = [
        (number, line)
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1)
        if line.strip()
    ]
    is_named_json = suffix in _JSON
    if lines and suffix != ".csv" and (is_named_json or is_object(lines[0][1])):
        return _headed(*_json_lines(lines), is_json=True)
    as_json = None if suffix == ".csv" else _json_texts(lines)
    if as_json is None:
        return _headed(list(_csv_rows(text)))
    try:
        as_csv = list(_csv_rows(text))
    except EtaError:
        return _headed(as_json, is_json=True)
    _headed(as_json)  # what no id can be is told first
    for one, other in zip(as_csv, as_json, strict=False):
        if one.text != other.text:
            raise EtaError(
                f"line {one.line} of the file means one id in CSV and another in JSON",
                remedy="name the file ids.csv or ids.jsonl, by which of them it is",
            )
    return _headed(as_csv)


def _headed(
    rows: list[Identifier], notes: tuple[str, ...] = (), *, is_json: bool = False
) -> IdFile:
    for one in rows:
        if "\0" in one.text:
            raise EtaError(
                f"line {one.line} of the file has a NUL",
                remedy="take the line out: no stored identifier has one",
            )
        if len(one.text) > LONGEST:
            raise EtaError(
                f"line {one.line} of the file is longer than {LONGEST} characters",
                remedy="take the line out: no stored identifier is so long; ids stand one per line",
            )
        try:
            one.text.encode()
        except UnicodeEncodeError:
            raise EtaError(
                f"line {one.line} of the file has half of a surrogate pair, which is no character",
                remedy="take the line out: no stored identifier has one",
            ) from None
    if rows and folded(rows[0].text) in HEADINGS and not rows[0].is_field:
        return IdFile(tuple(rows[1:]), rows[0].text, is_json, notes)
    return IdFile(tuple(rows), None, is_json, notes)


def write_ids(file: IO[str], identifiers: Iterable[str]) -> None:
    """Write identifiers as JSON lines, which `read_ids` reads back as they are."""
    for text in identifiers:
        file.write(f"{json.dumps({NAMES[0]: text})}\n")


def resolved(identifiers: Sequence[Identifier], known: Collection[str]) -> list[Identifier]:
    """Return the identifiers, and the white space of those that are known with it alone."""
    return [
        Identifier(one.as_written, one.line)
        if one.is_trimmed and one.text not in known and one.as_written in known
        else one
        for one in identifiers
    ]


def forms(identifiers: Sequence[Identifier]) -> set[str]:
    """Return each text that an identifier could be: with and without white space around it."""
    return {text for one in identifiers for text in (one.text, one.as_written) if text}


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise EtaError(
            f"line {line} of the file is not {encoding.removesuffix('-sig').upper()}",
            remedy="save the file as UTF-8",
        ) from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise EtaError(
            f"line {line} of the file has a NUL: it may be UTF-16 without a byte order mark",
            remedy="save the file as UTF-8",
        )
    return text


def _csv_rows(text: str) -> Iterator[Identifier]:
    lines = io.StringIO(text, newline="")  # ends lines at CR, LF and CRLF, and nowhere else
    raw = _Lines(lines)
    csv.field_size_limit(_ANY_SIZE)  # of the whole process, so set by who needs it
    rows = csv.reader(raw, delimiter=_NONE, strict=True)
    while True:
        first = raw.number + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise EtaError(
                f"line {first} of the file begins with a quote that is not closed at its end",
                remedy='write the id in quotes, each quote in it twice, as in """anna""", or the '
                "file as JSON lines",
            ) from None
        if len(row) > 1:
            raise EtaError(
                f"line {first} of the file has a control character (U+001F)",
                remedy="write the file as JSON lines",
            )
        written = row[0] if row else ""
        is_quoted = raw.first.startswith('"')
        raw.first = ""
        found = written if is_quoted else written.strip()
        if not found.strip():
            continue
        if not is_quoted:
            _refuse_columns(found, first)
        yield Identifier(found, first, written)


class _Lines(Iterator[str]):
    """The lines of a file, counted; `first` is the first one since it was last set to ''."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0
        self.first = ""

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.first = self.first or line
        return line


def _refuse_columns(line: str, number: int) -> None:
    """Refuse a line without quotes that has several columns, or that is a JSON object."""
    for separator in (",", ";", "\t", "|"):
        names = [folded(name.strip('"')) for name in line.split(separator)]
        if number == 1 and len(names) > 1 and not HEADINGS.isdisjoint(names):
            raise EtaError(
                "line 1 of the file has several columns",
                remedy="give a file with the column of the ids alone",
            )
        if len(names) > 1 and separator != "|":  # a part of many ids: `auth0|5f7`
            raise EtaError(
                f"line {number} of the file has {_SEPARATORS[separator]} outside quotes: several "
                "columns, or an id with one in it",
                remedy="give a file with the column of the ids alone; write an id in quotes, as in "
                '"anna,berta", or the file as JSON lines',
            )
    if is_object(line):
        raise EtaError(
            f"line {number} of the file is a JSON object among lines that are none",
            remedy="write each line as JSON, or none",
        )


def _json_lines(
    lines: Sequence[tuple[int, str]],
) -> tuple[list[Identifier], tuple[str, ...]]:
    """Return the identifiers of JSON lines, and what to tell about them.

    Raises `EtaError` for a line that has none.
    """
    found: list[Identifier] = []
    several, passed = list[int](), list[int]()
    for number, line in lines:
        ids = ids_of(line, number)
        if not ids.texts or not all(text.strip() for text in ids.texts):
            raise EtaError(
                f"line {number} of the file is no text, number or object with a field `user_id`",
                remedy=f"write each line as a JSON text, or with one of: {', '.join(NAMES[:6])}",
            )
        found += [Identifier(text, number, text, is_field=is_object(line)) for text in ids.texts]
        several += [number] if len(ids.texts) > 1 else []
        passed += [number] if ids.is_more else []
    notes = []
    if several:
        notes.append(f"several ids of one object are taken, each for a person{on_lines(several)}")
    if passed:
        notes.append(
            "beside the field of a person's id there is another, such as `id`, that is not taken"
            f"{on_lines(passed)}"
        )
    return found, tuple(notes)


def on_lines(lines: Sequence[int]) -> str:
    """Return the numbers of lines as the end of a sentence."""
    more = f" and {len(lines) - SHOWN_LINES:,} more" if len(lines) > SHOWN_LINES else ""
    return f": line {', '.join(map(str, lines[:SHOWN_LINES]))}{more}"


def _json_texts(lines: Sequence[tuple[int, str]]) -> list[Identifier] | None:
    """Return the identifiers of a file in which every line is JSON; else None."""
    found: list[Identifier] = []
    for number, line in lines:
        texts = ids_of(line, number).texts
        if not texts:
            return None
        found += [Identifier(text, number, text) for text in texts if text.strip()]
    return found
