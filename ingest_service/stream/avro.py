"""Avro messages in Confluent's wire format: a zero byte, the schema's id, the record."""

import json
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any, Final

import fastavro
import httpx
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError

from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType

MAGIC: Final = b"\0"
HEAD_BYTES: Final = 5
_ID: Final = slice(1, HEAD_BYTES)


class RegistryAwayError(Exception):
    """The registry does not answer; the message may well be good."""


class BadMessageError(Exception):
    """A message that cannot be read, and why."""

    def __init__(self, code: ReasonCode, message: str, schema_text: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.schema_text = schema_text


class AvroReader:
    """Reads messages with the schema they were written with; each is looked up once.

    Fields that only the writer knows are left out; fields that only this version knows are null.
    """

    def __init__(self, registry_url: str | None) -> None:
        self._client = SchemaRegistryClient(registry_url) if registry_url else None
        self._schemas: dict[tuple[DataType, int], tuple[Any, str]] = {}
        self._unknown: set[tuple[DataType, int]] = set()

    def read(self, data_type: DataType, value: bytes) -> tuple[dict[str, Any], str]:
        """Return the record and the text of the schema it was written with.

        Raises `BadMessageError`, and `RegistryAwayError` when that cannot be told now.
        """
        if len(value) <= HEAD_BYTES:
            raise BadMessageError(ReasonCode.BAD_AVRO, "the message is too short for a schema id")
        schema_id = int.from_bytes(value[_ID], "big")
        schema, text = self._schema(data_type, schema_id)
        return read_avro(value, schema, data_type, text), text

    def forget_unknown(self) -> None:
        """Ask again for ids that the registry did not have; it may have them by now."""
        self._unknown.clear()

    def _schema(self, data_type: DataType, schema_id: int) -> tuple[Any, str]:
        known = self._schemas.get((data_type, schema_id))
        if known is not None:
            return known
        if (data_type, schema_id) in self._unknown:
            raise _unknown_schema(schema_id)
        if self._client is None:
            raise RegistryAwayError("no registry is set (ETA_STREAM_REGISTRY_URL)")
        try:
            schema = self._client.get_by_id(schema_id)
        except (ClientError, httpx.HTTPError) as error:
            raise RegistryAwayError(type(error).__name__) from error
        if schema is None:
            self._unknown.add((data_type, schema_id))
            raise _unknown_schema(schema_id)
        found = (fastavro.parse_schema(schema.raw_schema), json.dumps(schema.raw_schema))
        self._schemas[data_type, schema_id] = found
        return found


def read_again(values: Sequence[bytes], schema_text: str) -> list[dict[str, Any] | None]:
    """Return the records of messages of one schema; None for one that cannot be read."""
    schema = fastavro.parse_schema(json.loads(schema_text))
    found: list[dict[str, Any] | None] = []
    for value in values:
        try:
            record = fastavro.schemaless_reader(BytesIO(value[HEAD_BYTES:]), schema, None)
        except Exception:  # noqa: BLE001 - bytes that are no record fail in every way
            record = None
        found.append(record if isinstance(record, dict) else None)
    return found


def read_avro(value: bytes, schema: Any, data_type: DataType, text: str | None) -> dict[str, Any]:
    """Read a message with a parsed schema, as this version's record; raises `BadMessageError`."""
    try:
        record = fastavro.schemaless_reader(
            BytesIO(value[HEAD_BYTES:]), schema, _reader_schema(data_type)
        )
    except fastavro.read.SchemaResolutionError:
        raise BadMessageError(
            ReasonCode.UNKNOWN_SCHEMA, "the schema of the message is not one of the topic's", text
        ) from None
    except Exception as error:  # noqa: BLE001 - bytes that are no record fail in every way
        kind = type(error).__name__
        raise BadMessageError(
            ReasonCode.BAD_AVRO, f"the message does not fit its schema ({kind})", text
        ) from None
    if not isinstance(record, dict):
        raise BadMessageError(ReasonCode.BAD_AVRO, "the message is not a record", text)
    return record


@cache
def _reader_schema(data_type: DataType) -> Any:
    return fastavro.parse_schema(avro_schema(data_type))


def _unknown_schema(schema_id: int) -> BadMessageError:
    return BadMessageError(
        ReasonCode.UNKNOWN_SCHEMA, f"the registry has no schema with the id {schema_id}"
    )
