"""Values of records that keep the rules, as columns of texts."""

import csv
from codecs import BOM_UTF8
from collections.abc import Sequence
from io import StringIO

import polars as pl

from ingest_service.readers.csv.structure import Marks
from lakehouse.contracts.layout import LONGEST_FIELD


def read_values(
    marks: Marks, header: Sequence[str], columns: Sequence[str], delimiter: str
) -> pl.DataFrame:
    """Parse records, only `columns` of them; an empty field without quotes is null."""
    if not len(marks.record_ends):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    if len(marks.escaped):
        return _escaped_values(marks, header, columns, delimiter)
    # Of two byte order marks polars takes the first for one: one that is text stays.
    mark = BOM_UTF8 if marks.data.startswith(BOM_UTF8) else b""
    return pl.read_csv(
        mark + marks.data,
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
    csv.field_size_limit(LONGEST_FIELD)  # of the whole process, so set by who needs it
    text = StringIO(marks.data.decode(), newline="")
    rows = csv.reader(text, delimiter=delimiter, escapechar=marks.escape, strict=True)
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(header, pl.String), orient="row")
    return frame.select(pl.col(columns).replace("", None))
