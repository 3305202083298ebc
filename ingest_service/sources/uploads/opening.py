"""Opens the file of an upload by what it is written in; and again, when that was not it."""

from collections.abc import Iterator
from dataclasses import replace

from ingest_service.pipeline.report import RowIssue
from ingest_service.readers.avro_file.reader import AvroRows
from ingest_service.readers.base import RowFile
from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.detection import guess_encoding, question
from ingest_service.readers.csv.encoding import Encoding, NotUtf8Error
from ingest_service.readers.csv.rows import CsvRows
from ingest_service.readers.formats import binary_format, content_format, shown, wrong_format
from ingest_service.readers.json.reader import JsonRows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.readers.parquet.reader import ParquetRows
from ingest_service.readers.table.columns import TableColumns
from ingest_service.readers.xlsx.header import SheetDialect
from ingest_service.readers.xlsx.reader import XlsxRows
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import (
    FileRefusedError,
    needed_columns,
    refuse_file_settings,
    refuse_sheet_settings,
    resolve,
    wanted_columns,
)
from lakehouse.contracts.reasons import WarningCode
from lakehouse.contracts.tenant import FileFormat, OnError

_TEXTS = (FileFormat.CSV, FileFormat.JSON)


def with_format(upload: FileUpload) -> FileUpload:
    """Return the upload with the format that its content has.

    Raises `FileRefusedError` for a file that is not read, or not what it was sent as. Of texts that
    were sent as CSV or JSON that is believed.
    """
    if upload.format is FileFormat.AUTO:
        return replace(upload, format=content_format(upload.path, upload.named))
    found = binary_format(upload.path)
    if found is None and upload.format not in _TEXTS:
        found = content_format(upload.path, upload.named)
    if found is not None and found is not upload.format:
        raise wrong_format(found, upload.format)
    return upload


def name_issues(upload: FileUpload) -> Iterator[RowIssue]:
    """Yield what is odd about the name that a file came with."""
    if upload.named is not None and upload.named is not upload.format:
        yield RowIssue(
            1,
            "",
            WarningCode.FORMAT_MISMATCH.value,
            f"by its name or type the file is {shown(upload.named)}; it was read as "
            f"{shown(upload.format)}, which its content is",
        )


def open_rows(upload: FileUpload, chunk_bytes: int) -> RowFile:
    """Open the file of an upload; raises `FileRefusedError`."""
    mapping = upload.mapping
    asked = TableColumns.of(upload.data_type, mapping)
    match upload.format:
        case FileFormat.PARQUET:
            return ParquetRows(upload.path, asked)
        case FileFormat.AVRO:
            return AvroRows(upload.path, JsonColumns.of(upload.data_type, mapping), asked)
        case FileFormat.XLSX:
            return _open_workbook(upload, asked)
    return _open_text(upload, chunk_bytes)


def _open_workbook(upload: FileUpload, asked: TableColumns) -> RowFile:
    mapping = upload.mapping
    refuse_sheet_settings(mapping)
    names = tuple(mapping.names) if mapping.header == "none" else None

    def fits(columns: tuple[str, ...]) -> bool:
        try:
            resolve(upload.data_type, mapping, columns)
        except FileRefusedError:
            return False
        return True

    dialect = SheetDialect(mapping.skip_lines, mapping.comment, names)
    return XlsxRows(upload.path, asked, dialect, upload.sheet, fits)


def _open_text(upload: FileUpload, chunk_bytes: int) -> RowFile:
    mapping = upload.mapping
    encoding = upload.encoding or mapping.encoding
    if upload.format is FileFormat.JSON:
        refuse_file_settings(mapping)
        name = encoding.name if isinstance(encoding, Encoding) else encoding
        columns = JsonColumns.of(upload.data_type, mapping)
        return JsonRows(upload.path, name, columns, chunk_bytes)
    options = CsvOptions(
        encoding=encoding,
        declared=upload.declared_charset,
        delimiter=upload.delimiter or mapping.delimiter,
        dialect=Dialect.of(mapping),
        wanted=wanted_columns(upload.data_type, mapping),
        needed=needed_columns(upload.data_type, mapping),
        keeps_going=upload.on_error is OnError.QUARANTINE,
        expects_damage=upload.expects_damage,
        lists_faults=True,
    )
    return CsvRows(upload.path, options, chunk_bytes)


def second_reading(upload: FileUpload, fault: NotUtf8Error) -> FileUpload:
    """Return how to read a file again that turned out not to be UTF-8.

    In the encoding it is likely to be in; or, where wrong rows are kept aside, as UTF-8 with
    damaged records. Raises the fault, with the likely encodings, when neither will do, and for
    JSON, which is UTF-8.
    """
    if upload.format is FileFormat.JSON:
        raise fault
    is_said = (upload.encoding or upload.mapping.encoding or upload.declared_charset) is not None
    guess = guess_encoding(upload.path)
    if guess.encoding is not None and not is_said and not fault.is_cut:
        return replace(upload, encoding=guess.encoding)
    is_damaged = is_said or fault.is_cut or not (guess.likely or fault.is_escaped)
    if upload.on_error is OnError.QUARANTINE and is_damaged and not upload.expects_damage:
        return replace(upload, expects_damage=True)
    raise question(fault, guess.candidates)
