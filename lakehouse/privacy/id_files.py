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
from typing import IO, TYPE_CHECKING, Any, Final

from lakehouse.contracts.characters import folded
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from pathlib import Path

SHOWN_LINES: Final = 20
NAMES: Final = (
    *("user_id", "userid", "anonymous_id", "anonymousid", "customer_id", "customerid"),
    *("subject", "subject_id", "user", "users", "id", "ids", "identifier", "identifiers"),
)
"""What a heading, or a field of a JSON object, calls an identifier; the first one counts."""

_HEADINGS: Final = frozenset(folded(name) for name in NAMES)
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


def read_ids(path: Path) -> IdFile:
    """Read a file of identifiers.

    UTF-8, or UTF-16 or UTF-32 with a byte order mark. JSON lines are texts, numbers (as they are
    written), or objects with a field of `NAMES`. Anything else is CSV of one column: an identifier
    may be quoted, and keeps white space around it only if it is. A first line that is a name of
    `NAMES` is a heading. Raises `EtaError`, with the line, for what can be read in two ways.
    """
    text = _decoded(path.read_bytes())
    suffix = path.suffix.lower()
    lines = [
        (number, line)
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1)
        if line.strip()
    ]
    is_named_json = suffix in _JSON
    if lines and suffix != ".csv" and (is_named_json or _is_object(lines[0][1])):
        return _headed(_json_lines(lines), is_json=True)
    as_json = None if suffix == ".csv" else _json_texts(lines)
    if as_json is None:
        return _headed(list(_csv_rows(text)))
    try:
        as_csv = list(_csv_rows(text))
    except EtaError:
        return _headed(as_json, is_json=True)
    for one, other in zip(as_csv, as_json, strict=False):
        if one.text != other.text:
            raise EtaError(
                f"line {one.line} of the file means one id in CSV and another in JSON",
                remedy="name the file ids.csv or ids.jsonl, by which of them it is",
            )
    return _headed(as_csv)


def _headed(rows: list[Identifier], *, is_json: bool = False) -> IdFile:
    for one in rows:
        try:
            one.text.encode()
        except UnicodeEncodeError:
            raise EtaError(
                f"line {one.line} of the file has half of a surrogate pair, which is no character",
                remedy="take the line out: no stored identifier has one",
            ) from None
    if rows and folded(rows[0].text) in _HEADINGS and not rows[0].is_field:
        return IdFile(tuple(rows[1:]), heading=rows[0].text, is_json=is_json)
    return IdFile(tuple(rows), is_json=is_json)


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
        if not is_quoted and first == 1:
            _refuse_columns(found)
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


def _refuse_columns(heading: str) -> None:
    """Refuse a file whose heading has several columns, one of which is of identifiers."""
    for separator in (",", ";", "\t", "|"):
        names = [folded(name.strip('"')) for name in heading.split(separator)]
        if len(names) > 1 and not _HEADINGS.isdisjoint(names):
            raise EtaError(
                "the file has several columns",
                remedy="give a file with the column of the ids alone",
            )


def _json_lines(lines: Sequence[tuple[int, str]]) -> list[Identifier]:
    """Return the identifiers of JSON lines; raises `EtaError` for a line that has none."""
    found = []
    for number, line in lines:
        identifier = _of_json(line)
        if identifier is None or not identifier.strip():
            raise EtaError(
                f"line {number} of the file is no text, number or object with a field `user_id`",
                remedy=f"write each line as a JSON text, or with one of: {', '.join(NAMES[:6])}",
            )
        found.append(Identifier(identifier, number, identifier, is_field=_is_object(line)))
    return found


def _json_texts(lines: Sequence[tuple[int, str]]) -> list[Identifier] | None:
    """Return the identifiers of a file in which every line is JSON; else None."""
    found = [(number, _of_json(line)) for number, line in lines]
    if any(text is None for _, text in found):
        return None
    return [Identifier(text, number, text) for number, text in found if text and text.strip()]


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=str)


def _parsed(line: str) -> Any:
    try:
        return _DECODER.decode(line.strip())
    except (ValueError, RecursionError):
        return None


def _is_object(line: str) -> bool:
    return isinstance(_parsed(line), dict)


def _of_json(line: str) -> str | None:
    """The identifier of a line: a text, a number, or a field of an object."""
    if line.strip() in ("NaN", "Infinity", "-Infinity"):
        return None
    value = _parsed(line)
    if isinstance(value, dict):
        by_name = {folded(name): held for name, held in value.items()}
        value = next(
            (by_name[folded(name)] for name in NAMES if by_name.get(folded(name)) is not None), None
        )
    return str(value) if isinstance(value, str) else None
