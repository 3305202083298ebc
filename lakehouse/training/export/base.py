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

    def finish(self) -> str:
        """Complete the files; return the text of the README about them (Markdown)."""
        ...


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
    """Append lines to a UTF-8 text file."""
    if lines.is_empty():
        return
    with path.open("xb" if is_new else "ab") as file:
        file.write(("\n".join(lines.to_list()) + "\n").encode())


def markdown_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
