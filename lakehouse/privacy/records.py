"""Whom a stored record names: the values of its identifying fields, decoded.

Erasure asks this of what is stored, and suppression of what is sent again: one answer for both, so
that nothing that was erased comes back and nothing of anybody else is held up. What else stands in
a record, such as an id in a title or in a link, is a mention and no value.
"""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.avro_bounds import ReadRecord, bounded_reader
from lakehouse.contracts.avro_frames import FrameError, frame_of, is_framed, unpacked
from lakehouse.contracts.identifying import ANONYMOUS, USER, IdentifyingFields
from lakehouse.contracts.topics import KEY_SEPARATOR
from lakehouse.privacy.json_values import decoded, leaves, named_in
from lakehouse.privacy.unparsed import cells_of, opened_by, pairs_of, prefixed_texts, words_of

if TYPE_CHECKING:
    from lakehouse.contracts.layout import SourceLayout

MOST_EXTRA: Final = 16
"""Of a record with more cells too many, each cell may be of each column."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_UNPACKED_MOST: Final = 1 << 26
"""Bytes of a compressed message that nobody could attribute; the topics take less."""
_WIDEST: Final = 1 << 16
"""Bytes of a message without a schema that are tried as texts with their length before them."""


@dataclass(slots=True)
class Named:
    """Texts that name a person in one record; `untold`: it cannot be told of which field."""

    users: set[str] = field(default_factory=set)
    anonymous: set[str] = field(default_factory=set)
    untold: set[str] = field(default_factory=set)

    @property
    def all(self) -> set[str]:
        """Every text."""
        return self.users | self.anonymous | self.untold

    def add(self, name: str, texts: Iterable[str]) -> None:
        """Add values of one of the contract's two fields."""
        (self.users if name == USER else self.anonymous).update(texts)

    def is_of(self, subjects: Callable[[str], bool], tied: Callable[[str], bool]) -> bool:
        """Whether the record is of a subject, or has only an anonymous id that is tied to one.

        As with accepted rows, a tied id says nothing where there is a user.
        """
        if any(map(subjects, (*self.users, *self.anonymous, *self.untold))):
            return True
        return not self._has_user and any(map(tied, (*self.anonymous, *self.untold)))

    def people(self, subjects: Collection[str], tied: Collection[str]) -> tuple[set[str], set[str]]:
        """Return the subjects, and the tied ids, that the record `is_of`."""
        named = {t for t in (*self.users, *self.anonymous, *self.untold) if t in subjects}
        if self._has_user:
            return named, set()
        return named, {text for text in (*self.anonymous, *self.untold) if text in tied}

    @property
    def _has_user(self) -> bool:
        return any(text.strip() for text in self.users)


class RecordReader:
    """Reads records of one layout, as its source was read; for several threads.

    `is_known`: False when nobody knows any more which fields name a person: then every value may.
    `others`: reads a record that names nobody, as one that came by the wrong mapping.
    """

    def __init__(
        self,
        layout: SourceLayout,
        fields: IdentifyingFields,
        *,
        is_known: bool = True,
        others: RecordReader | None = None,
    ) -> None:
        self._layout = layout
        self._fields = fields
        self._is_known = is_known
        self._others = others
        self._quote = "'" if layout.quote == "'" else '"'
        self._columns = [fields.field_of(name) for name in layout.columns]
        self._schema: Any = None
        self._read_record: ReadRecord | None = None

    def named(self, raw: bytes) -> Named:
        """Return whom a record names. Never raises for what it holds."""
        found = Named()
        self._read(raw, found)
        for name, texts in (
            (USER, self._fields.user_constants),
            (ANONYMOUS, self._fields.anonymous_constants),
        ):
            for text in texts:
                found.add(name, self._fields.as_read(name, text))
        if self._others is not None and not any(map(str.strip, found.all)):
            return self._others.named(raw)
        return found

    @property
    def fields(self) -> IdentifyingFields:
        """Where the records name a person."""
        return self._fields

    def _read(self, raw: bytes, found: Named) -> None:
        match self._layout.format:
            case "csv":
                self._read_csv(raw, found)
            case "json":
                self._read_json(raw, found)
            case "avro":
                self._read_avro(raw, found)
            case "bytes":
                self._read_bytes(raw, found)
            case "message":
                self._read_envelope(raw, found)

    def _read_csv(self, raw: bytes, found: Named) -> None:
        if not any(self._columns) and self._is_known:
            return
        text = _text(raw, self._layout.encoding)
        records = _csv_records(text, self._layout)
        if records is None:  # its quotes do not fit
            lines = _LINE_END.split(text)
            records = [cells_of(line, self._layout.delimiter, self._quote) for line in lines]
        for cells in records:
            if not self._is_known and not _is_part_of_header(cells, self._layout.columns):
                found.untold.update(cells)
            if len(records) == 1 and len(cells) == len(self._columns):
                self._add_cells(cells, found)
            elif not _is_part_of_header(cells, self._layout.columns):
                self._add_ragged(cells, found)

    def _add_ragged(self, cells: list[str], found: Named) -> None:
        """Add what may be of an identifying column, where cells are missing or too many."""
        for index, name in enumerate(self._columns):
            if name is not None:
                for text in _possible(cells, index, len(self._columns), self._layout.delimiter):
                    found.untold.update(self._fields.as_read(name, text))
                    found.untold.update(_unquoted(text, self._quote))

    def _add_cells(self, cells: list[str], found: Named) -> None:
        if _is_header(cells, self._layout.columns):
            return
        for name, cell in zip(self._columns, cells, strict=True):
            if name is not None:
                found.add(name, self._fields.as_read(name, cell))
                found.add(name, _unquoted(cell, self._quote))

    def _read_json(self, raw: bytes, found: Named) -> None:
        value = decoded(raw)
        if value is None:
            self._read_text(_text(raw, "utf-8"), found)
        else:
            self._add_objects(value, found)

    def _add_objects(self, value: Any, found: Named) -> None:
        for name, text in named_in(value, self._fields):
            found.add(name, self._fields.as_read(name, text))
        if not self._is_known:
            found.untold.update(leaves(value))

    def _read_avro(self, raw: bytes, found: Named) -> None:
        record = self._avro_record(raw)
        if record is None:
            self._read_binary(raw, found)
            return
        self._add_objects(record, found)

    def _avro_record(self, raw: bytes) -> Any:
        if self._layout.schema_text is None:
            return None
        import fastavro  # loaded by who has such rows alone

        try:
            if self._read_record is None:
                parsed = fastavro.parse_schema(json.loads(self._layout.schema_text))
                self._schema, self._read_record = parsed, bounded_reader(parsed)
            stream = BytesIO(frame_of(raw).record)
            return self._read_record(stream, self._schema, None)
        except Exception:  # noqa: BLE001 - bytes that are no record fail in every way
            return None

    def _read_bytes(self, raw: bytes, found: Named) -> None:
        if is_framed(raw):
            with suppress(FrameError):
                raw = unpacked(raw, _UNPACKED_MOST)
            self._read_binary(raw, found)
        else:
            self._read_json(raw, found)

    def _read_binary(self, raw: bytes, found: Named) -> None:
        found.untold.update(prefixed_texts(raw[:_WIDEST]))
        self._read_text(_text(raw, "utf-8"), found)

    def _read_envelope(self, raw: bytes, found: Named) -> None:
        """A message of nobody: key and value in base64."""
        try:
            whole = json.loads(raw)
            key, value = (base64.b64decode(whole[name] or "") for name in ("key", "value"))
        except (ValueError, KeyError, TypeError):
            self._read_json(raw, found)
            return
        text = _text(key, "utf-8")
        found.untold.update({text, text.partition(KEY_SEPARATOR)[2]} - {""})
        self._read_bytes(value, found)

    def _read_text(self, text: str, found: Named) -> None:
        """What cannot be parsed: by its names where it shows them, else every word is a value."""
        pairs = [(self._fields.may_be(key), value) for key, value in pairs_of(text)]
        told = [(name, value) for name, value in pairs if name is not None]
        for name, value in told:
            found.add(name, self._fields.as_read(name, value))
        if not told or not self._is_known or self._has_open_value(text):
            for word in (*cells_of(text, ","), *words_of(text)):
                found.untold.update(self._fields.as_read(USER, word))

    def _has_open_value(self, text: str) -> bool:
        """Whether a name in it that tells of a person has a list or object for a value."""
        return any(
            (self._fields.may_be if is_list else self._fields.may_end)(name) is not None
            for name, is_list in opened_by(text)
        )


def _text(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return raw.decode("utf-8", errors="replace")


def _csv_records(text: str, layout: SourceLayout) -> list[list[str]] | None:
    """Return the records of a text, as a rule one; None when its quotes do not fit."""
    try:
        return layout.csv_records(text)
    except csv.Error:
        return None


def _possible(cells: list[str], index: int, width: int, delimiter: str) -> Iterator[str]:
    """Yield what may stand in a column of a record that has not as many cells as columns.

    A cell that is missing before it moves it to the left, one too many to the right. One that holds
    a delimiter without quotes has come apart into several. Nothing else can be it, so a record is
    not of somebody because another column of it says the same.
    """
    extra = len(cells) - width
    if extra <= 0:
        yield from cells[max(0, index + extra) : index + 1]
    elif extra > MOST_EXTRA:
        yield from cells
    else:
        window = cells[index : index + extra + 1]
        for start in range(len(window)):
            for end in range(start + 1, len(window) + 1):
                yield delimiter.join(window[start:end])


def _is_header(cells: list[str], columns: tuple[str, ...]) -> bool:
    """Whether a record is the header once more, which names nobody."""
    same = [cell.strip() == name for cell, name in zip(cells, columns, strict=True) if cell.strip()]
    return all(same) and len(same) > 1


def _is_part_of_header(cells: list[str], columns: tuple[str, ...]) -> bool:
    return all(cell.strip() in columns for cell in cells if cell.strip())


def _unquoted(cell: str, quote: str) -> Iterator[str]:
    """Yield what stands in quotes that a reader of CSV took for text: `x, "anna"`."""
    bare = cell.strip()
    if bare != cell and len(bare) > 1 and bare[0] == bare[-1] == quote:
        yield bare[1:-1].replace(quote * 2, quote)
