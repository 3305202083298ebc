"""Rows of the quarantine as columns again, and edited ones in their place."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ingest_service.readers.json.rows import (
    JsonChunk,
    JsonColumns,
    JsonRecord,
    chunk_of,
    record_of,
)
from ingest_service.readers.table.no_json import KEPT_BYTES, holds_kept_bytes
from lakehouse.contracts.json_rows import pick
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.row_issues import WARNING_CODES
from lakehouse.contracts.strict_json import Parsed, StrictDecoder
from lakehouse.errors import EtaError
from lakehouse.storage.quarantine import OWN_COLUMNS, PLACE, source_ref_of
from lakehouse.storage.spreadsheet import plain


@dataclass(frozen=True, slots=True)
class EditedRows:
    """Mended rows: `columns` of the file they once came in, and per place their values."""

    columns: tuple[str, ...]
    values: dict[tuple[str, str], tuple[str, ...]]

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those of `rows` (batch and place) that were edited."""
        wanted = pl.DataFrame(list(self.values), schema=list(PLACE), orient="row")
        return rows.join(wanted, on=PLACE, how="semi", maintain_order="left")

    def texts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the edited values of `rows`, all of which were edited, in their order."""
        found = [self.values[place] for place in rows.select(PLACE).iter_rows()]
        return pl.DataFrame(found, schema=dict.fromkeys(self.columns, pl.String), orient="row")


def read_edited(path: Path) -> EditedRows:
    """Read a file that `eta quarantine export` wrote and somebody edited.

    Its first columns say which row a line stands for. Raises `EtaError` with the line of the
    first fault; nothing of such a file is used.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = tuple(next(reader, ()))
            if header[: len(OWN_COLUMNS)] != OWN_COLUMNS:
                raise _not_an_export()
            values: dict[tuple[str, str], tuple[str, ...]] = {}
            for record in reader:
                if len(record) != len(header):
                    raise _fault(reader.line_num, "has more or fewer fields than the header")
                batch_id, place, _, *rest = record
                where = (batch_id, source_ref_of(place))
                if where in values:
                    raise _fault(reader.line_num, "stands for a row that an earlier line corrects")
                values[where] = tuple(map(plain, rest))
        except csv.Error as error:
            raise _fault(reader.line_num, f"is not CSV: {error}") from None
        except UnicodeDecodeError:
            raise _fault(reader.line_num + 1, "or one after it is not UTF-8") from None
    return EditedRows(tuple(map(plain, header[len(OWN_COLUMNS) :])), values)


def reread(
    layout: SourceLayout, raw: list[bytes], asked: Callable[[], JsonColumns]
) -> tuple[pl.DataFrame, pl.Series]:
    """Return records as columns of texts, and which could be read at all; the others are null.

    Each record is read alone, so one that is damaged does not reach into the next. A CSV record
    has the columns of its file, a JSON object those that are `asked` of it.
    """
    if layout.format == "json":
        decoder, columns = StrictDecoder(), asked()
        objects = [record_of(one, 0, 0, decoder) for one in raw]
        frame, is_read = _frame_of(chunk_of(objects, columns, reports_unread=False))
        if layout.typed_times:
            is_read &= pl.Series([not _has_bytes(one, columns) for one in objects])
        return frame, is_read
    if layout.format == "avro" and layout.schema_text is not None:
        columns = asked()
        objects = _avro_records(raw, layout.schema_text)
        return _frame_of(chunk_of(objects, columns, reports_unread=False))
    if layout.format in ("avro", "bytes", "message"):
        columns = asked()
        schema = dict.fromkeys(columns.names, pl.String)
        empty = pl.DataFrame([dict.fromkeys(columns.names)] * len(raw), schema=schema)
        return empty, pl.repeat(value=False, n=len(raw), dtype=pl.Boolean, eager=True)
    records = [_record(layout, one) for one in raw]
    nothing = (None,) * len(layout.columns)
    frame = pl.DataFrame(
        [nothing if record is None else record for record in records],
        schema=dict.fromkeys(layout.columns, pl.String),
        orient="row",
    )
    return frame, pl.Series([record is not None for record in records], dtype=pl.Boolean)


def without_unsent(edited: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return edited values of objects; a cell that stayed empty is still a field that was not sent.

    A CSV file has a cell for every column, so it cannot say which fields an object had.
    """
    return edited.with_columns(
        pl.when((pl.col(name) != "") | pl.lit(known[name]).is_not_null()).then(name).alias(name)
        for name in edited.columns
        if name in known.columns
    )


def cells_of(layout: SourceLayout, raw: Sequence[bytes]) -> pl.DataFrame:
    """Return the cells of CSV records that are no rows, as far as they can be told.

    What is over the columns of their file is left out, and what is missing is null.
    """
    width = len(layout.columns)
    rows: list[list[str | None]] = []
    for one in raw:
        cells = _loose_cells(layout, one.decode(layout.encoding, "replace"))
        rows.append([*cells[:width], *[None] * (width - len(cells))])
    return pl.DataFrame(rows, schema=dict.fromkeys(layout.columns, pl.String), orient="row")


def _loose_cells(layout: SourceLayout, text: str) -> list[str]:
    """Return the cells of a record; where a quote is out of place, those of its text without."""
    quote = layout.quoting["quotechar"]
    is_odd = quote is not None and text.count(quote) % 2 == 1
    try:
        found = layout.csv_records(text.replace(quote, "") if is_odd and quote else text)
    except csv.Error:
        return []
    return found[0] if found else []


def kept_bytes(edited: pl.DataFrame) -> pl.Series:
    """Return which edited rows still have a value that was bytes and no text."""
    marks = (pl.col(name).str.contains(f'"{KEPT_BYTES}"', literal=True) for name in edited.columns)
    return edited.select(pl.any_horizontal(*marks).fill_null(value=False)).to_series()


def _has_bytes(record: JsonRecord, columns: JsonColumns) -> bool:
    """Whether a column that is read has a value that was bytes and no text."""
    value = record.parsed.value if record.parsed is not None else None
    if not isinstance(value, dict):
        return False
    return any(holds_kept_bytes(pick(value, name)) for name in columns.names)


def _frame_of(chunk: JsonChunk) -> tuple[pl.DataFrame, pl.Series]:
    rows = pl.Series(range(chunk.frame.height), dtype=pl.UInt32)
    wrong = chunk.faults.filter(~pl.col("code").is_in(WARNING_CODES))
    return chunk.frame, ~rows.is_in(wrong["row"].implode())


def _avro_records(raw: list[bytes], schema_text: str) -> list[JsonRecord]:
    """Read messages with the schema they were written with; None for what cannot be read."""
    # fastavro is loaded by who has such rows alone
    from ingest_service.readers.avro import read_again

    return [
        JsonRecord(one, 0, 0, None if found is None else Parsed(found, 0, has_repeated_name=False))
        for one, found in zip(raw, read_again(raw, schema_text), strict=True)
    ]


def _record(layout: SourceLayout, raw: bytes) -> tuple[str, ...] | None:
    try:
        text = raw.decode(layout.encoding)
        records = layout.csv_records(text)
        fields = tuple(records[0]) if records else ()
    except (UnicodeDecodeError, csv.Error):
        return None
    return fields if len(fields) == len(layout.columns) and "\0" not in text else None


def _not_an_export() -> EtaError:
    return EtaError(
        f"the file does not begin with the columns {', '.join(OWN_COLUMNS)}, comma-separated",
        remedy="edit a file that `eta quarantine export` wrote, and keep its first three columns",
    )


def _fault(line: int, problem: str) -> EtaError:
    return EtaError(
        f"line {line} of the file {problem}",
        remedy="correct that line; nothing was replayed",
    )
