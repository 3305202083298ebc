"""Records that cannot be read: refused with their place, or told one by one."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.readers.csv.structure import (
    Marks,
    Positions,
    bare_returns,
    field_counts,
    needless_escapes,
    records_at,
    undecodable_records,
)
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import (
    EXPLANATIONS,
    WARNINGS,
    FileFault,
    ReasonCode,
    WarningCode,
)
from lakehouse.contracts.validator import REASON_SCHEMA

_FEWEST_COLUMNS: Final = 3


@dataclass(slots=True)
class RecordFaults:
    """What is wrong with the records of a piece, as they are found; one reason per record."""

    lines: Positions
    found: dict[int, tuple[ReasonCode, str]] = field(default_factory=dict)

    def add(self, records: Positions, code: ReasonCode, message: str) -> None:
        """Note records; what was noted first about one stands."""
        for record in records.tolist():
            self.found.setdefault(record, (code, message))

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """True for each record that has a fault."""
        mask = np.zeros(len(self.lines), dtype=np.bool_)
        mask[list(self.found)] = True
        return mask

    def reasons(self) -> pl.DataFrame:
        """Return them as the validator gives its own."""
        rows = [
            (row, code.value, "", "", message)
            for row, (code, message) in sorted(self.found.items())
        ]
        return pl.DataFrame(rows, schema=REASON_SCHEMA, orient="row")

    def refuse(self) -> None:
        """Raise `FileRefusedError` for the first of them, if there is one."""
        if not self.found:
            return
        row = min(self.found)
        code, message = self.found[row]
        line = int(self.lines[row])
        raise FileRefusedError(
            FileFault(code.value),
            f"the record on line {line}: {message}",
            remedy=EXPLANATIONS[code].remedy,
            line=line,
        )


def find_faults(
    marks: Marks,
    delimiter: int,
    columns: int,
    lines: Positions,
    *,
    ends_open: bool,
    is_text: bool,
    damaged: Positions,
) -> RecordFaults:
    """Return the records that are ragged or hold what no text may hold.

    `lines` is the line of each record. `ends_open`: the last record has no line end. `is_text`
    promises UTF-8. `damaged` are records that a quote out of place makes doubtful.
    """
    faults = RecordFaults(lines)
    faults.add(damaged, ReasonCode.BAD_QUOTE, EXPLANATIONS[ReasonCode.BAD_QUOTE].meaning)
    if not is_text:
        broken = undecodable_records(marks)
        faults.add(broken, ReasonCode.NOT_UTF8, "it holds bytes that are not UTF-8")
    if 0 in marks.data:
        view = np.frombuffer(marks.data, dtype=np.uint8)
        nuls = records_at(marks, np.flatnonzero(view == 0))
        faults.add(nuls, ReasonCode.NUL_BYTE, "it holds a NUL byte")
    if len(marks.escaped):
        wrong = records_at(marks, needless_escapes(marks, delimiter))
        faults.add(wrong, ReasonCode.BAD_ESCAPE, EXPLANATIONS[ReasonCode.BAD_ESCAPE].meaning)
    bare = records_at(marks, bare_returns(marks))
    faults.add(
        bare, ReasonCode.BARE_CARRIAGE_RETURN, "it holds a carriage return that ends no line"
    )
    counts = field_counts(marks, delimiter, columns)
    if counts is None:
        return faults
    last = len(counts) - 1
    for record in np.flatnonzero(counts != columns).tolist():
        cut = ", and the file ends there without a line end" if ends_open and record == last else ""
        message = f"it has {counts[record]} fields, the header has {columns}{cut}"
        faults.add(np.array([record]), ReasonCode.RAGGED_ROW, message)
    return faults


def records_within_texts(marks: Marks, delimiter: int, columns: int) -> pl.DataFrame:
    """Return a warning for each record with a line, within quotes, of as many fields as columns.

    Of two columns every second text has such a line, so nothing is said.
    """
    inner = np.setdiff1d(marks.line_ends, marks.record_ends, assume_unique=True)
    if not len(inner) or columns < _FEWEST_COLUMNS:
        return REASON_SCHEMA.to_frame()
    code, rows = WarningCode.RECORD_WITHIN_TEXT, []
    starts = marks.record_starts
    for record in records_at(marks, inner).tolist():
        lines = marks.data[starts[record] : marks.record_ends[record]].split(b"\n")
        if any(line.count(bytes([delimiter])) + 1 == columns for line in lines[1:-1]):
            rows.append((record, code.value, "", "", WARNINGS[code].meaning))
    return pl.DataFrame(rows, schema=REASON_SCHEMA, orient="row")
