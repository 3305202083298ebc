"""Where records begin and end in a piece of CSV, and whether it keeps RFC 4180.

Fast CSV parsers are lenient: a short row is padded, a stray quote is taken for text, so that a
damaged file is stored as if it were whole. Here the positions of quotes, delimiters and line ends
are found with numpy and checked exactly; what passes, every parser reads alike. The price is about
0.1 s per million rows.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.contracts.characters import Traits
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault

Positions = npt.NDArray[np.int64]

QUOTE: Final = ord('"')
LINE_FEED: Final = ord("\n")
CARRIAGE_RETURN: Final = ord("\r")
SPACE: Final = ord(" ")
TAB: Final = ord("\t")


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions in a piece of CSV that starts at the start of a record.

    `quotes`: every quote character. `line_ends`: every line feed. `record_ends`: the line feeds
    outside quotes. `escaped`: every character that stands behind an `escape`, where the file has
    one; the other positions leave those out, `line_ends` but for.
    """

    data: bytes
    quotes: Positions
    line_ends: Positions
    record_ends: Positions
    escape: str | None = None
    escaped: Positions = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def record_starts(self) -> Positions:
        """First byte of each complete record."""
        starts = np.empty_like(self.record_ends)
        starts[:1] = 0
        starts[1:] = self.record_ends[:-1] + 1
        return starts

    def until(self, last: int) -> "Marks":
        """Return the marks of the records that end at `last` or before."""
        return Marks(
            self.data[: last + 1],
            self.quotes[self.quotes <= last],
            self.line_ends[self.line_ends <= last],
            self.record_ends[self.record_ends <= last],
            self.escape,
            self.escaped[self.escaped <= last],
        )

    def line_of(self, position: int) -> int:
        """How many line feeds stand before `position`."""
        return int(np.searchsorted(self.line_ends, position))


def find_marks(data: bytes, escape: str | None = None) -> Marks:
    """Find quotes, line ends and record ends."""
    view = np.frombuffer(data, dtype=np.uint8)
    if escape is not None and escape.encode() in data:
        return _find_escaped_marks(data, view, escape)
    line_ends = np.flatnonzero(view == LINE_FEED)
    if QUOTE not in data:
        return Marks(data, np.empty(0, dtype=np.int64), line_ends, line_ends, escape)
    quotes = np.flatnonzero(view == QUOTE)
    outside = np.searchsorted(quotes, line_ends) % 2 == 0
    return Marks(data, quotes, line_ends, line_ends[outside], escape)


def _find_escaped_marks(data: bytes, view: npt.NDArray[np.uint8], escape: str) -> Marks:
    pairs = re.finditer(re.escape(escape.encode()) + b".", data, re.DOTALL)
    escaped = np.array([pair.start() + 1 for pair in pairs], dtype=np.int64)
    line_ends = np.flatnonzero(view == LINE_FEED)
    quotes = np.setdiff1d(np.flatnonzero(view == QUOTE), escaped, assume_unique=True)
    ends = np.setdiff1d(line_ends, escaped, assume_unique=True)
    outside = np.searchsorted(quotes, ends) % 2 == 0
    return Marks(data, quotes, line_ends, ends[outside], escape, escaped)


def byte_traits(marks: Marks) -> Traits:
    """Return what the bytes of a piece say about all its texts at once, in about 1 ms per 4 MiB.

    Line ends between records are no part of a text; a line feed within quotes is, and a tab may be.
    """
    data = marks.data
    is_plain = b"\\" not in data and b"\x1f" not in data
    if not data.isascii() or b"\x7f" in data or len(marks.line_ends) > len(marks.record_ends):
        return Traits(is_plain)
    view = np.frombuffer(data, dtype=np.uint8)
    controls = int(np.count_nonzero(view < SPACE))
    is_tidy = controls == len(marks.line_ends) + data.count(b"\r\n")
    return Traits(is_plain, is_tidy, is_tidy and b" " not in data)


def check_quotes(marks: Marks, delimiter: int, first_line: int, *, is_last: bool) -> None:
    """Refuse a quote that neither opens, closes nor doubles within a quoted field.

    Counting quotes from the start of a record, the even ones open: they follow a delimiter, a
    line end or, doubled, the quote just before. The odd ones close: a delimiter, a line end or,
    doubled, another quote follows.
    """
    quotes = marks.quotes
    if len(quotes) == 0:
        return
    view = np.frombuffer(marks.data, dtype=np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[np.maximum(opening - 1, 0)]
    is_open = (opening == 0) | (before == delimiter) | (before == LINE_FEED)
    is_open[1:] |= opening[1:] - 1 == closing[: len(opening) - 1]
    after_at = closing + 1
    after = view[np.minimum(after_at, len(view) - 1)]
    is_closed = (after_at >= len(view)) | (after == delimiter) | (after == LINE_FEED)
    is_closed |= _carriage_return_ends_line(view, after_at)
    is_closed[: len(opening) - 1] |= opening[1:] == after_at[: len(opening) - 1]
    wrong = np.concatenate([opening[~is_open], closing[~is_closed]])
    if len(wrong):
        raise _misplaced(marks, int(wrong.min()), first_line)
    if is_last and len(quotes) % 2 == 1:
        raise open_quote(first_line + marks.line_of(int(quotes[-1])))


def bare_returns(marks: Marks) -> Positions:
    """Return the carriage returns outside quotes that no line feed follows."""
    data = marks.data
    if b"\r" not in data or data.count(b"\r") == data.count(b"\r\n"):
        return np.empty(0, dtype=np.int64)
    view = np.frombuffer(data, dtype=np.uint8)
    returns = np.flatnonzero(view == CARRIAGE_RETURN)
    following = np.minimum(returns + 1, len(view) - 1)
    outside = np.searchsorted(marks.quotes, returns) % 2 == 0
    bare: Positions = returns[outside & (view[following] != LINE_FEED)]
    return bare


def field_counts(marks: Marks, delimiter: int, columns: int) -> Positions | None:
    """Return how many fields each record has, None when all have as many as the header."""
    records = len(marks.record_ends)
    view = np.frombuffer(marks.data, dtype=np.uint8)
    found = np.flatnonzero(view == delimiter)
    if len(marks.escaped):
        found = np.setdiff1d(found, marks.escaped, assume_unique=True)
    if len(marks.quotes):
        found = found[np.searchsorted(marks.quotes, found) % 2 == 0]
    wanted = columns - 1
    if len(found) == records * wanted and _fits(found, marks, wanted):
        return None
    counts: Positions = 1 + np.bincount(
        np.searchsorted(marks.record_ends, found), minlength=records
    )
    return counts


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, at about 2 GB/s."""
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    text = pa.Array.from_buffers(pa.large_utf8(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def undecodable_records(marks: Marks) -> Positions:
    """Return the records that are not UTF-8."""
    if marks.data.isascii() or is_utf8(marks.data):
        return np.empty(0, dtype=np.int64)
    pairs = zip(marks.record_starts.tolist(), marks.record_ends.tolist(), strict=True)
    bad = [n for n, (start, end) in enumerate(pairs) if not is_utf8(marks.data[start:end])]
    return np.array(bad, dtype=np.int64)


def needless_escapes(marks: Marks, delimiter: int) -> Positions:
    """Return the escaped characters that need no escape: what is meant is not sure."""
    view = np.frombuffer(marks.data, dtype=np.uint8)
    known = [QUOTE, LINE_FEED, CARRIAGE_RETURN, delimiter, *(marks.escape or "").encode()]
    needless: Positions = marks.escaped[~np.isin(view[marks.escaped], known)]
    return needless


def records_at(marks: Marks, positions: Positions) -> Positions:
    """Return the records that hold these positions, each once."""
    return np.unique(np.searchsorted(marks.record_ends, positions))


def without(marks: Marks, dropped: npt.NDArray[np.bool_]) -> Marks:
    """Return the marks of the records that are not dropped."""
    starts, ends = marks.record_starts, marks.record_ends
    kept = [
        marks.data[start : end + 1]
        for start, end in zip(starts[~dropped].tolist(), ends[~dropped].tolist(), strict=True)
    ]
    gone = np.cumsum(np.where(dropped, ends - starts + 1, 0))

    def moved(positions: Positions) -> Positions:
        records = np.searchsorted(ends, positions)
        stay = ~dropped[records]
        found: Positions = positions[stay] - gone[records[stay]]
        return found

    return Marks(
        b"".join(kept),
        moved(marks.quotes),
        moved(marks.line_ends),
        moved(ends),
        marks.escape,
        moved(marks.escaped),
    )


def blank_records(marks: Marks, delimiter: int) -> npt.NDArray[np.bool_]:
    """True for each record that is an empty line, or one of spaces and tabs alone."""
    starts, ends = marks.record_starts, marks.record_ends
    lengths = ends - starts
    view = np.frombuffer(marks.data, dtype=np.uint8)
    first = view[starts]
    blank: npt.NDArray[np.bool_] = (lengths == 0) | ((lengths == 1) & (first == CARRIAGE_RETURN))
    white = bytes(byte for byte in (SPACE, TAB) if byte != delimiter)
    for row in np.flatnonzero(np.isin(first, list(white)) & ~blank).tolist():
        record = marks.data[starts[row] : ends[row]]
        blank[row] = not record.removesuffix(b"\r").strip(white)
    return blank


def records_that_begin_with(marks: Marks, start: bytes) -> npt.NDArray[np.bool_]:
    """True for each record that begins with these bytes, of which none is a line end."""
    view = np.frombuffer(marks.data, dtype=np.uint8)
    begins = np.ones(len(marks.record_starts), dtype=np.bool_)
    for at, byte in enumerate(start):  # a record that is shorter ends with another byte
        places = np.minimum(marks.record_starts + at, len(view) - 1)
        begins &= view[places] == byte
    return begins


def _fits(found: Positions, marks: Marks, wanted: int) -> bool:
    if wanted == 0:
        return True
    table = found.reshape(-1, wanted)
    starts_inside = table[:, 0] >= marks.record_starts
    ends_inside = table[:, -1] < marks.record_ends
    return bool(starts_inside.all() and ends_inside.all())


def _carriage_return_ends_line(view: npt.NDArray[np.uint8], at: Positions) -> npt.NDArray[np.bool_]:
    here = view[np.minimum(at, len(view) - 1)] == CARRIAGE_RETURN
    following = view[np.minimum(at + 1, len(view) - 1)] == LINE_FEED
    ends: npt.NDArray[np.bool_] = here & (following | (at + 1 >= len(view)))
    return ends


def _misplaced(marks: Marks, at: int, first_line: int) -> FileRefusedError:
    """What to raise for the quote `at`; a field may have been opened lines before."""
    line = first_line + marks.line_of(at)
    number = int(np.searchsorted(marks.quotes, at))
    if number % 2 == 1:
        opened = first_line + marks.line_of(int(marks.quotes[number - 1]))
        if opened != line:
            what = f"ends no field, and that on line {opened}, which began one, is not closed"
            fault = _bad_quote(line, what)
            fault.line = opened
            return fault
    fault = _bad_quote(line, "is out of place")
    if marks.escape is None and marks.data[at - 1 : at] == b"\\":
        fault.remedy = (
            'if the file writes \\" for a quote, set `escape: "\\\\"` in the source mapping; '
            f"else {fault.remedy}"
        )
    return fault


def open_quote(line: int) -> FileRefusedError:
    """Return what to raise for a quote that opens a field and is never closed."""
    return _bad_quote(line, "is never closed")


def _bad_quote(line: int, what: str) -> FileRefusedError:
    return FileRefusedError(
        FileFault.BAD_QUOTE,
        f"a quote on line {line} {what}",
        remedy='put the whole field in quotes and write a quote within it twice ("")',
        line=line,
    )
