"""How a CSV file is written, told from its first lines: delimiter, preamble, header or none."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from ingest_service.readers.csv.delimiters import SPACED
from ingest_service.readers.csv.preamble import separator_of
from lakehouse.contracts.fields import DataTypeDefinition
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.spellings import distance

CANDIDATES: Final = (",", ";", "\t", "|", "::")
LINES: Final = 400
MOST_SKIPPED: Final = 1_000
_COMMENTS: Final = ("#", "%")
_VALUE: Final = re.compile(r"[-+]?[\d.,]*\d[\d.,:T/ Z+-]*|")


@dataclass(frozen=True, slots=True)
class FoundDialect:
    """What of a file is not as RFC 4180 has it, as a source mapping says it.

    `has_header`: whether a header was found; `columns`: how many fields its records have.
    """

    delimiter: str
    columns: int
    has_header: bool
    skip_lines: int = 0
    comment: str | None = None
    escape: str | None = None
    has_sep_line: bool = False

    def as_mapping(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the keys of a source mapping; `names` are for a file without a header."""
        mapping: dict[str, Any] = {}
        if self.delimiter != ",":
            mapping["delimiter"] = self.delimiter
        if self.skip_lines:
            mapping["skip_lines"] = self.skip_lines
        if self.comment:
            mapping["comment"] = self.comment
        if self.escape:
            mapping["escape"] = self.escape
        if not self.has_header:
            mapping |= {"header": "none", "names": list(names)}
        return mapping


def find_dialect(text: str, given: str | None = None) -> FoundDialect:
    """Tell the dialect from the start of a file; `given`: its delimiter, where somebody said so."""
    lines = re.split(r"\r\n|\n|\r", text)
    lines = lines[:-1] if len(lines) > 1 else lines
    lines = lines[:LINES]
    separator = separator_of(lines[0].encode()) if lines else None
    body = lines[1:] if separator else lines
    escape = _escape(body)
    comment = _comment(body)
    kept = [
        (number, line)
        for number, line in enumerate(body)
        if line.strip() and not (comment and line.startswith(comment))
    ]
    delimiter = given or separator or _delimiter([line for _, line in kept], escape)
    if not given and _has_space_before_quotes(delimiter, [line for _, line in kept]):
        delimiter += " "
    counts = [len(_fields(line, delimiter, escape)) for _, line in kept]
    common = Counter(count for count in counts if count > 1).most_common(1)
    width = common[0][0] if common else 1
    first = _first_of_table(counts, width)
    records = [_fields(line, delimiter, escape) for _, line in kept[first:]]
    skipped = 0
    if first and width > 1:
        skipped = kept[first][0] + bool(separator)
    return FoundDialect(
        delimiter,
        len(records[0]) if records else 0,
        _has_header(records),
        min(skipped, MOST_SKIPPED),
        comment,
        escape,
        separator is not None,
    )


def _delimiter(lines: Sequence[str], escape: str | None) -> str:
    """Return the candidate that gives most lines the same number of fields, and many of them."""

    def score(delimiter: str) -> tuple[float, int]:
        counts = Counter(len(_fields(line, delimiter, escape)) for line in lines)
        width, lines_of_it = max(
            ((width, count) for width, count in counts.items() if width > 1),
            key=lambda pair: (pair[1], pair[0]),
            default=(1, 0),
        )
        share = lines_of_it / max(1, len(lines))
        return round(share, 1), width

    best = max(CANDIDATES, key=score)
    return best if score(best)[1] > 1 else ","


def _has_space_before_quotes(delimiter: str, lines: Sequence[str]) -> bool:
    """Whether fields are quoted behind a space (`"a", "b"`), which is then of the delimiter."""
    spaced = f'{delimiter} "'
    return (
        delimiter in SPACED
        and any(line.count(spaced) for line in lines[:1])
        and all(f'{delimiter}"' not in line for line in lines)
    )


def _first_of_table(counts: Sequence[int], width: int) -> int:
    """Return which is the first line of the table's width: titles before it have fewer fields."""
    return next((at for at, count in enumerate(counts) if count == width), 0)


def _has_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns of the others."""
    if not records:
        return True
    first, rest = records[0], records[1:]
    if sum(_is_named(name) for name in first) >= min(2, len(first)):
        return True
    if any(_VALUE.fullmatch(field.strip()) and field.strip() for field in first):
        return False
    if len({field.strip() for field in first}) < len(first):
        return False
    below = [{row[at] for row in rest if at < len(row)} for at in range(len(first))]
    return not any(field in values for field, values in zip(first, below, strict=True))


def _is_named(name: str) -> bool:
    if _VALUE.fullmatch(name.strip()):
        return False
    return any(distance(name, field) is not None for field in _field_names())


def _field_names() -> set[str]:
    definitions: list[DataTypeDefinition] = [one.definition for one in DataType]
    return {field.name for definition in definitions for field in definition.fields}


def _comment(lines: Sequence[str]) -> str | None:
    """Return what lines begin with that are no records: they have not as many fields as the others.

    An id may begin with a sign as well (`#1004`).
    """
    for sign in _COMMENTS:
        marked = [line for line in lines if line.startswith(sign)]
        others = [line for line in lines if line.strip() and not line.startswith(sign)]
        if marked and others and not _are_alike(marked, others):
            return sign
    return None


def _are_alike(marked: Sequence[str], others: Sequence[str]) -> bool:
    """Whether by any delimiter half of the marked lines have as many fields as the others."""
    for delimiter in CANDIDATES:
        widths = Counter(len(_fields(line, delimiter, None)) for line in others)
        width = widths.most_common(1)[0][0]
        same = sum(len(_fields(line, delimiter, None)) == width for line in marked)
        if width > 1 and 2 * same >= len(marked):
            return True
    return False


def _escape(lines: Sequence[str]) -> str | None:
    return "\\" if any(re.search(r'[^"\\]\\"[^,;\t|]', line) for line in lines) else None


def _fields(line: str, delimiter: str, escape: str | None) -> list[str]:
    is_spaced = delimiter.rstrip(" ") in SPACED
    if len(delimiter) > 1 and not is_spaced:
        return line.split(delimiter)
    reader = csv.reader(
        StringIO(line, newline=""),
        delimiter=delimiter[0],
        escapechar=escape,
        skipinitialspace=len(delimiter) > 1,
    )
    try:
        return next(reader, [""])
    except csv.Error:
        return [line]
