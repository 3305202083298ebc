"""Open rows of the quarantine as a CSV file that people can correct and send back."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.contracts.json_rows import pick, value_text
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.strict_json import StrictJsonError, loads
from lakehouse.errors import EtaError
from lakehouse.storage.quarantine import OWN_COLUMNS, place_of
from lakehouse.storage.spreadsheet import neutral
from lakehouse.storage.whole_files import whole_file


def export_rows(pieces: Iterable[pl.DataFrame], target: Path) -> int:
    """Write open rows to `target` as `export_lines` has them, whole or not at all; return how many.

    The file is readable by this user alone, since it holds personal data.
    """
    count = 0
    with whole_file(target, mode=0o600) as partial, partial.open("wb") as file:
        for lines, rows in export_lines(pieces):
            file.write(lines)
            count += rows
    return count


def export_lines(pieces: Iterable[pl.DataFrame]) -> Iterator[tuple[bytes, int]]:
    """Yield open rows as lines of a CSV file, and how many rows they are; the header comes first.

    The first three columns say which row a line stands for and what is wrong with it, the others
    are the file's own. UTF-8; a record with too many or too few fields keeps those it has, and
    bytes that are no text stay as they are. No rows: nothing. Raises `EtaError` when the rows come
    from files with different columns.
    """
    columns: tuple[str, ...] | None = None
    for rows in pieces:
        text = StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        for row in rows.iter_rows(named=True):
            layout = SourceLayout.from_text(row["layout"])
            if columns is None:
                columns = layout.columns
                writer.writerow([*OWN_COLUMNS, *map(neutral, columns)])
            elif columns != layout.columns:
                raise _different_columns()
            writer.writerow([neutral(cell) for cell in _record(row, layout)])
        yield text.getvalue().encode(errors="surrogateescape"), rows.height


def reasons_text(reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with a row in one line: `code (field); code (field)`."""
    return "; ".join(f"{reason['code']} ({reason['field']})" for reason in reasons)


def record_text(raw: bytes, layout: SourceLayout) -> str:
    """Return a record as text; bytes that are none become surrogates."""
    return raw.decode(layout.encoding, errors="surrogateescape")


def _record(row: Mapping[str, Any], layout: SourceLayout) -> list[str]:
    text = record_text(row["raw"], layout)
    fields = _json_fields if layout.format == "json" else _csv_fields
    own = [row["batch_id"], place_of(row["source_ref"]), reasons_text(row["reasons"])]
    return [*own, *fields(text, layout)]


def _csv_fields(text: str, layout: SourceLayout) -> list[str]:
    try:
        return next(iter(layout.csv_records(text, is_strict=False)), [])
    except csv.Error:
        return [text]


def _json_fields(text: str, layout: SourceLayout) -> list[str]:
    """Return the values that were asked for; all of the text where it is no object."""
    try:
        value = loads(text.encode(errors="surrogateescape")).value
    except StrictJsonError:
        return [text]
    if not isinstance(value, dict):
        return [text]
    return [value_text(pick(value, name)) or "" for name in layout.columns]


def _different_columns() -> EtaError:
    return EtaError(
        "the rows come from files with different columns",
        remedy="export one batch at a time with --batch; `eta quarantine list` shows them",
    )
