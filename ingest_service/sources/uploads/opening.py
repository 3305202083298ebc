"""Opens the file of an upload by what it is written in; and again, when that was not it."""

from dataclasses import replace

from ingest_service.readers.base import RowFile
from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.detection import guess_encoding, question
from ingest_service.readers.csv.encoding import Encoding, NotUtf8Error
from ingest_service.readers.csv.rows import CsvRows
from ingest_service.readers.json.reader import JsonRows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import refuse_file_settings, wanted_columns
from lakehouse.contracts.tenant import FileFormat, OnError


def open_rows(upload: FileUpload, chunk_bytes: int) -> RowFile:
    """Open the file of an upload; raises `FileRefusedError`."""
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
