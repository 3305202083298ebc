"""What a file is by its name: a hint, which its content may contradict."""

from pathlib import PurePath
from typing import Final

from lakehouse.contracts.kinds import FileFormat

PACKED: Final = frozenset({".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".zip"})
_FORMATS: Final = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".tab": FileFormat.CSV,
    ".json": FileFormat.JSON,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".xlsx": FileFormat.XLSX,
    ".xlsm": FileFormat.XLSX,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".avro": FileFormat.AVRO,
}
_TYPES: Final = {
    "text/csv": FileFormat.CSV,
    "text/tab-separated-values": FileFormat.CSV,
    "application/json": FileFormat.JSON,
    "application/jsonl": FileFormat.JSON,
    "application/x-ndjson": FileFormat.JSON,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": FileFormat.XLSX,
    "application/vnd.apache.parquet": FileFormat.PARQUET,
    "application/avro": FileFormat.AVRO,
    "avro/binary": FileFormat.AVRO,
}
FILE_TYPES: Final = frozenset(_TYPES) | {
    "text/plain",
    "application/gzip",
    "application/zstd",
    "application/zip",
    "application/x-bzip2",
    "application/x-xz",
    "application/octet-stream",
    "application/vnd.ms-excel",
}
"""Media types of files that may be sent; browsers call a CSV file an old workbook."""


def format_of_name(name: str) -> FileFormat | None:
    """Return what a file of this name is, None when that does not tell."""
    endings = [one.lower() for one in PurePath(name).suffixes]
    endings = [one for one in endings if one not in PACKED]
    return _FORMATS.get(endings[-1]) if endings else None


def format_of_type(media_type: str) -> FileFormat | None:
    """Return what a body of this media type is, None when that does not tell."""
    return _TYPES.get(media_type.partition(";")[0].strip().lower())
