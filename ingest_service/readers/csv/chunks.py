"""How a CSV file is to be read, and its records on their way out."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from ingest_service.readers.csv.encoding import UTF8, Encoding
from ingest_service.readers.csv.faults import records_within_texts
from ingest_service.readers.csv.notation import PLAIN_NOTATION, Notation
from ingest_service.readers.csv.structure import Marks, Positions, byte_traits
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.source_mapping import NO_QUOTE, SourceMapping


@dataclass(frozen=True, slots=True)
class Dialect:
    """What of a file is not as RFC 4180 has it, as its source mapping says.

    `skip_lines`: lines before the header that are not read, `skip_last_lines` those at the end of
    the file. `comment`: what lines begin with that are no records. `names`: the columns, of a file
    without a header (`header_lines` 0) or instead of it. `escape`: what stands before a quote,
    delimiter or line end that is text. `quote`: around texts; None: quotes are text.
    `header_lines`: how many records the header has, whose words are joined.
    """

    skip_lines: int = 0
    comment: str | None = None
    names: tuple[str, ...] | None = None
    escape: str | None = None
    skip_last_lines: int = 0
    quote: str | None = '"'
    header_lines: int = 1

    @property
    def tells_where_it_begins(self) -> bool:
        """Whether it is said which lines stand before the first row."""
        is_named = self.names is not None or self.header_lines != 1
        return is_named or self.skip_lines > 0 or self.comment is not None

    @classmethod
    def of(cls, mapping: SourceMapping) -> "Dialect":
        """Return what a source mapping says."""
        lines = {"first": 1, "none": 0}
        header = mapping.header
        return cls(
            mapping.skip_lines,
            mapping.comment,
            tuple(mapping.names) or None,
            mapping.escape,
            mapping.skip_last_lines,
            None if mapping.quote == NO_QUOTE else mapping.quote,
            header if isinstance(header, int) else lines[header],
        )


PLAIN: Final = Dialect()


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a file is to be read; what is None is found out.

    `declared`: the charset that the request says the file has; `encoding` goes before it.
    `wanted`: column names that may be asked for, by which a delimiter is told, and those
    of them that are `needed`. `keeps_going`: a
    record that cannot be read is told by its chunk (`faults`), and does not refuse the file.
    `expects_damage`: so is one that is not UTF-8. `lists_faults`: without `keeps_going` too, one
    that is ragged or has a needless escape or carriage return is told, so that all of them are.
    """

    encoding: str | Encoding | None = None
    declared: str | None = None
    delimiter: str | None = None
    dialect: Dialect = PLAIN
    wanted: Set[str] = frozenset()
    needed: Set[str] = frozenset()
    keeps_going: bool = False
    expects_damage: bool = False
    lists_faults: bool = False

    @property
    def is_looked_at(self) -> bool:
        """Whether nobody says which columns are read: the file's shape is all there is."""
        return self.keeps_going and not self.wanted


@dataclass(frozen=True, slots=True)
class CsvChunk:
    """Records of a file, in order.

    `frame`: the wanted columns as strings; an unquoted empty field is null, a quoted one "".
    `lines`: the line of the file that each record starts on, from 1. `faults`: reasons of the
    records that could not be read, whose columns are null.
    """

    frame: pl.DataFrame
    lines: Positions
    faults: pl.DataFrame
    _marks: Marks
    _encoding: str
    _notation: Notation = PLAIN_NOTATION

    @property
    def traits(self) -> Traits:
        """What its bytes say about all texts at once."""
        return byte_traits(self._marks)

    def with_warnings(self, delimiter: str, columns: int) -> "CsvChunk":
        """Return it with what is odd about good records among its faults."""
        warnings = records_within_texts(self._marks, ord(delimiter), columns)
        warnings = warnings.join(self.faults, on="row", how="anti")
        return replace(self, faults=pl.concat([self.faults, warnings])) if len(warnings) else self

    @property
    def places(self) -> Positions:
        """What tells records apart within the file: their lines."""
        return self.lines

    @property
    def place_names(self) -> None:
        """They are lines."""

    @property
    def requests(self) -> None:
        """A file comes as a whole."""

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The records of these rows as the file has them, without their line end.

        Of a file in another encoding the text is encoded as it was.
        """
        marks = self._marks
        starts, ends = marks.record_starts, marks.record_ends
        records = [marks.data[starts[row] : ends[row]].removesuffix(b"\r") for row in rows]
        if not self._notation.is_plain:
            records = [self._notation.original(record) for record in records]
        if self._encoding == UTF8:
            return records
        return [record.decode().encode(self._encoding) for record in records]


@dataclass(frozen=True, slots=True)
class CsvPiece:
    """Whole records of a file, not parsed yet; `first_line` is the line the first starts on.

    `ends_open`: the file ends with this piece, and without a line end. `damaged`: records, each one
    line, that hold a quote out of place or may be part of a text that one cut.
    """

    marks: Marks
    first_line: int
    ends_open: bool
    damaged: Positions
