"""The schema of a file's records, and whether it is one that a few bytes could abuse."""

import json
from typing import Any

import fastavro

from ingest_service.readers.avro_file.container import damaged_avro
from lakehouse.contracts.avro_bounds import ReadRecord, UnboundedSchemaError, bounded_reader
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault


def record_schema(schema: Any) -> tuple[Any, ReadRecord]:
    """Return the schema of the file's records, parsed, and what reads them.

    Raises `FileRefusedError`.
    """
    try:
        parsed = fastavro.parse_schema(schema)
    except Exception:  # noqa: BLE001 - a schema that is none fails in every way
        raise damaged_avro("its schema is none of Avro's") from None
    if not isinstance(parsed, dict) or parsed.get("type") not in ("record", "error"):
        raise FileRefusedError(
            FileFault.NESTED_COLUMN,
            "the values of the Avro file are no records",
            remedy="write one record per row",
        )
    try:
        read = bounded_reader(parsed)
    except UnboundedSchemaError as error:
        raise damaged_avro(f"its schema is not read: {error}") from None
    return parsed, read


def has_bytes(schema: Any) -> bool:
    """Whether a value may be bytes, which need not be a text."""
    text = json.dumps(schema)
    return '"bytes"' in text or '"fixed"' in text
