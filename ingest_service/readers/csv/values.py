"""Values of records that keep the rules, as columns of texts."""

import csv
from collections.abc import Sequence
from io import StringIO

import polars as pl

from ingest_service.readers.csv.structure import Marks


def read_values(
    marks: Marks, header: Sequence[str], columns: Sequence[str], delimiter: str
) -> pl.DataFrame:
    """Parse records, only `columns` of them; an empty field without quotes is null."""
    if not len(marks.record_ends):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    if len(marks.escaped):
        return _escaped_values(marks, header, columns, delimiter)
    return pl.read_csv(
        marks.data,
        has_header=False,
        schema=dict.fromkeys(header, pl.String),
        columns=[header.index(name) for name in columns],
        separator=delimiter,
        quote_char='"',
    )


def _escaped_values(
    marks: Marks, header: Sequence[str], columns: Sequence[str], delimiter: str
) -> pl.DataFrame:
    """Parse records with escapes, which polars does not know, with Python's own reader."""
    text = StringIO(marks.data.decode(), newline="")
    rows = csv.reader(text, delimiter=delimiter, escapechar=marks.escape, strict=True)
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(header, pl.String), orient="row")
    return frame.select(pl.col(columns).replace("", None))
