"""Where rows stood, as columns of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class PlaceNames:
    """How the places of rows are called: `unit` in the tables, `said` before the number for people.

    `unit` holds nothing of the file but numbers.
    """

    unit: str
    said: str


LINES: Final = PlaceNames("line", "line ")
ELEMENTS: Final = PlaceNames("item", "element ")
RECORDS: Final = PlaceNames("record", "record ")
EVENTS: Final = PlaceNames("event", "event ")
_BY_UNIT: Final = {names.unit: names for names in (LINES, ELEMENTS, RECORDS, EVENTS)}


def names_of(unit: str) -> PlaceNames:
    """Return the names of the places that a whole file counts alike."""
    return _BY_UNIT[unit]


@dataclass(frozen=True, slots=True)
class Numbered:
    """Rows of one file or request, numbered by line, element or event; see `Places`."""

    numbers: npt.NDArray[np.int64]
    unit: str

    def refs(self, rows: pl.Series) -> pa.Array:
        """Return `source_ref` of these rows."""
        numbers = self.numbers
        if len(rows) != len(numbers):
            numbers = numbers[rows.to_numpy().astype(np.int64)]
        return line_refs(numbers, self.unit)

    def others(self, rows: pl.Series) -> Mapping[str, pa.Array]:  # noqa: ARG002
        """Return nothing: the rows share the rest."""
        return {}


def line_refs(lines: npt.NDArray[np.int64], unit: str = "line", digits: int = _DIGITS) -> pa.Array:
    """Where rows stood in a file (`line:0000000042`), written so that text order is file order."""
    head = f"{unit}:".encode()
    width = len(head) + digits
    text = np.empty((len(lines), width), dtype=np.uint8)
    text[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    rest = lines.astype(np.int64)
    for place in range(width - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        text[:, place] = digit + ord("0")
    offsets = np.arange(0, (len(lines) + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(lines), buffers)
