"""What the formats of an export have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from lakehouse.errors import EtaError


class ExportWriter(Protocol):
    """Writes the rows of one snapshot, handed over in order, below one folder."""

    def write(self, rows: pl.DataFrame) -> None:
        """Take the next rows, with all columns of `training.training_data`.

        And `sample_weight`, where rows of the snapshot weigh other than 1.
        """
        ...

    def has_all(self, rows: pl.DataFrame) -> bool:
        """Whether all of the next rows are in files that a killed export has finished.

        Then they are passed over, and `write` does not get them. In no order, and without weights.
        """
        ...

    def finish(self) -> str:
        """Complete the files; return the text of the README about them (Markdown)."""
        ...


class WholeFiles:
    """What formats have in common whose files are written anew from the first row on."""

    def has_all(self, rows: pl.DataFrame) -> bool:  # noqa: ARG002 - the signature of every format
        """See `ExportWriter.has_all`."""
        return False


class Unseen:
    """Finds the values of a column that no earlier rows had. Holds every value once."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._seen: set[str] = set()

    def values(self) -> pl.Series:
        """Return all that were seen so far, in no order."""
        return pl.Series(self._column, [*self._seen], pl.String)

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the first row of each value that was not seen before, in the rows' order."""
        first = rows.unique(self._column, keep="first", maintain_order=True)
        is_new = [value not in self._seen for value in first.get_column(self._column)]
        found = first.filter(pl.Series(is_new, dtype=pl.Boolean))
        self._seen.update(found.get_column(self._column))
        return found


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reason why some texts cannot be written: what is told, and the rows it is true for."""

    text: str
    test: pl.Expr


def refuse(rows: pl.DataFrame, column: str, troubles: Iterable[Trouble], format_name: str) -> None:
    """Raise `EtaError` with a count per reason when values of `column` cannot be written.

    The values are identifiers, so the message does not hold them.
    """
    found: Mapping[str, int] = rows.select(
        trouble.test.fill_null(value=False).sum().alias(trouble.text) for trouble in troubles
    ).row(0, named=True)
    reasons = ", ".join(f"{count:,} {text}" for text, count in found.items() if count)
    if reasons:
        raise EtaError(
            f"{column} holds values that {format_name} cannot hold: {reasons}",
            remedy="export with --format parquet, which holds every value, and map the ids there",
        )


def write_lines(path: Path, lines: pl.Series, *, is_new: bool = False) -> None:
    """Append lines to a UTF-8 text file; a new one is there also without any."""
    with path.open("xb" if is_new else "ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def markdown_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
