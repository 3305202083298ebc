"""Opens the file of an upload by what it is written in."""

from ingest_service.readers.base import CsvRows, RowFile
from ingest_service.readers.csv.chunks import CsvOptions, Dialect
from ingest_service.readers.csv.encoding import Encoding
from ingest_service.readers.json.reader import JsonRows
from ingest_service.readers.json.rows import JsonColumns
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import wanted_columns
from lakehouse.contracts.tenant import FileFormat, OnError


def open_rows(upload: FileUpload, chunk_bytes: int) -> RowFile:
    """Open the file of an upload; raises `FileRefusedError`."""
    mapping = upload.mapping
    encoding = upload.encoding or mapping.encoding
    if upload.format is FileFormat.JSON:
        name = encoding.name if isinstance(encoding, Encoding) else encoding
        columns = JsonColumns.of(upload.data_type, mapping)
        return JsonRows(upload.path, name, columns, chunk_bytes)
    options = CsvOptions(
        encoding=encoding,
        declared=upload.declared_charset,
        delimiter=upload.delimiter or mapping.delimiter,
        dialect=Dialect(
            mapping.skip_lines,
            mapping.comment,
            tuple(mapping.names) if mapping.header == "none" else None,
            mapping.escape,
        ),
        wanted=wanted_columns(upload.data_type, mapping),
        keeps_going=upload.on_error is OnError.QUARANTINE,
        expects_damage=upload.expects_damage,
    )
    return CsvRows(upload.path, options, chunk_bytes)
