"""Files of rows in every format, and what becomes of them in a service in memory."""

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from ingest_service.pipeline.report import IngestReport
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from tests.support.ingesting import service

NAMES = ("user_id", "item_id", "interaction_type", "timestamp", "rating")
Row = Mapping[str, Any]


def workbook(rows: Sequence[Sequence[Any]], title: str = "Sheet", **others: Any) -> bytes:
    """A workbook of one sheet, and others of the rows given by name."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for name, content in ((title, rows), *others.items()):
        sheet = book[name] if name in book.sheetnames else book.create_sheet(name)
        for row in content:
            sheet.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """A workbook as bytes."""
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file."""
    file = BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def avro(fields: Mapping[str, Any], rows: Sequence[Row], codec: str = "null") -> bytes:
    """Records as an Avro file; `fields`: a type per name."""
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }
    file = BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows, codec=codec)
    return file.getvalue()


def as_csv(rows: Sequence[Row]) -> bytes:
    """Rows as CSV, times in ISO."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(
            v.isoformat() if isinstance(v, datetime) else "" if v is None else v
            for v in row.values()
        )
    return text.getvalue().encode()


def as_json(rows: Sequence[Row]) -> bytes:
    """Rows as JSON lines, times in ISO."""
    return "\n".join(json.dumps(row, default=datetime.isoformat) for row in rows).encode()


class Taken:
    """What became of a file: the report, the rows that were stored, those kept aside."""

    def __init__(self, report: IngestReport, sink: MemorySink, data_type: DataType) -> None:
        self.report = report
        self.stored: list[dict[str, Any]] = [
            row for _, table in sink.raw.get(data_type, []) for row in table.to_pylist()
        ]
        self.kept: list[dict[str, Any]] = [
            row for _, table in sink.quarantined for row in table.to_pylist()
        ]

    @property
    def warnings(self) -> dict[str, str]:
        """The last reason of each code of a warning."""
        return {issue.code: issue.reason for issue in self.report.warnings.kept}

    @property
    def errors(self) -> list[tuple[str, str, str]]:
        """Place, column and code of every error."""
        return [(one.place, one.column, one.code) for one in self.report.errors.kept]


def take(
    folder: Path,
    content: bytes,
    mapping: SourceMapping | None = None,
    data_type: DataType = DataType.INTERACTIONS,
    on_error: OnError = OnError.QUARANTINE,
    **options: Any,
) -> Taken:
    """Take in a file of any format for tenant `acme`."""
    path = folder / "rows"
    path.write_bytes(content)
    sink = MemorySink()
    upload = FileUpload(
        path,
        "acme",
        data_type,
        mapping or SourceMapping(),
        TenantSettings(),
        "b1",
        on_error,
        format=options.pop("format", FileFormat.AUTO),
        **options,
    )
    return Taken(service(sink).ingest(upload), sink, data_type)
