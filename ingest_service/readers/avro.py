"""Avro messages in Confluent's wire format: a zero byte, the schema's id, the record."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from time import monotonic
from types import NoneType
from typing import Any, Final

import fastavro
import httpx
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError

from ingest_service.readers.avro_singles import Shorten, shortest_of
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType

MAGIC: Final = b"\0"
HEAD_BYTES: Final = 5
UNKNOWN_SECONDS: Final = 5.0
"""How long the registry's answer that it has no such schema is believed."""
UNKNOWN_MOST: Final = 1_000
AWAY_SECONDS: Final = 0.5
"""How long a registry that did not answer is not asked again: others wait behind the question."""
TIMEOUT: Final = httpx.Timeout(2.0)
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

    def __init__(self, registry_url: str | None, clock: Callable[[], float] = monotonic) -> None:
        self._client = SchemaRegistryClient(registry_url, timeout=TIMEOUT) if registry_url else None
        self._clock = clock
        self._schemas: dict[int, tuple[Any, str]] = {}
        self._away_until = 0.0
        self._unknown: dict[int, float] = {}
        """Ids that the registry said it has not, and until when that is believed."""

    def read(self, data_type: DataType, value: bytes) -> tuple[dict[str, Any], str]:
        """Return the record and the text of the schema it was written with.

        Raises `BadMessageError`, and `RegistryAwayError` when that cannot be told now.
        """
        if len(value) <= HEAD_BYTES:
            raise BadMessageError(ReasonCode.BAD_AVRO, "the message is too short for a schema id")
        schema_id = int.from_bytes(value[_ID], "big")
        schema, text = self._schema(schema_id)
        record = read_avro(value, schema, data_type, text)
        if shorten := _shortest_of(text):
            record = shorten(record)
        return sent_of(record, data_type.definition.carried, _written_names(text)), text

    def _schema(self, schema_id: int) -> tuple[Any, str]:
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        if self._unknown.get(schema_id, 0.0) > self._clock():
            raise _unknown_schema(schema_id)
        if self._client is None:
            raise RegistryAwayError("no registry is set (ETA_STREAM_REGISTRY_URL)")
        if self._clock() < self._away_until:
            raise RegistryAwayError("it did not answer just now")
        try:
            schema = self._client.get_by_id(schema_id)
        except (ClientError, httpx.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
            self._away_until = self._clock() + AWAY_SECONDS
            raise RegistryAwayError(type(error).__name__) from error  # that is no registry's answer
        except Exception as error:  # noqa: BLE001 - schemas of other kinds may be registered
            self._believe_unknown(schema_id)
            raise _not_avro(schema_id, error) from None
        if schema is None:
            self._believe_unknown(schema_id)
            raise _unknown_schema(schema_id)
        try:
            found = (fastavro.parse_schema(schema.raw_schema), json.dumps(schema.raw_schema))
        except Exception as error:  # noqa: BLE001 - one of JSON, for instance
            raise _not_avro(schema_id, error) from None
        self._schemas[schema_id] = found
        return found

    def _believe_unknown(self, schema_id: int) -> None:
        """Ask for this id again after a while; the registry may have it by then."""
        if len(self._unknown) >= UNKNOWN_MOST:
            self._unknown.clear()
        self._unknown[schema_id] = self._clock() + UNKNOWN_SECONDS


def read_again(values: Sequence[bytes], schema_text: str) -> list[dict[str, Any] | None]:
    """Return the records of messages of one schema; None for one that cannot be read."""
    schema = fastavro.parse_schema(json.loads(schema_text))
    found: list[dict[str, Any] | None] = []
    for value in values:
        try:
            record = fastavro.schemaless_reader(BytesIO(value[HEAD_BYTES:]), schema, None)
        except Exception:  # noqa: BLE001 - bytes that are no record fail in every way
            record = None
        if not isinstance(record, dict):
            record = None
        elif isinstance(record.get(SENT_FIELDS, ""), list | NoneType):
            record = sent_of(record, record.keys(), frozenset(record))
        if record is not None and (shorten := _shortest_of(schema_text)):
            record = shorten(record)
        found.append(record)
    return found


def sent_of(
    record: dict[str, Any], carried: Iterable[str], written: frozenset[str]
) -> dict[str, Any]:
    """Return a record without those of the fields carried forward that the sender left out.

    Those are the nulls that the writer's schema has no field for, and where the record names the
    fields it sent (`sent_fields`), those that it does not name.
    """
    named = record.pop(SENT_FIELDS, None)
    sent = written if named is None else written.intersection(named)
    unsent = {name for name in carried if name not in sent and record.get(name) is None}
    return {name: value for name, value in record.items() if name not in unsent}


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
def _shortest_of(schema_text: str) -> Shorten | None:
    return shortest_of(fastavro.parse_schema(json.loads(schema_text)))


@cache
def _written_names(schema_text: str) -> frozenset[str]:
    schema = json.loads(schema_text)
    fields = schema.get("fields", []) if isinstance(schema, dict) else []
    return frozenset(field["name"] for field in fields)


@cache
def _reader_schema(data_type: DataType) -> Any:
    return fastavro.parse_schema(avro_schema(data_type))


def _unknown_schema(schema_id: int) -> BadMessageError:
    return BadMessageError(
        ReasonCode.UNKNOWN_SCHEMA, f"the registry has no schema with the id {schema_id}"
    )


def _not_avro(schema_id: int, error: Exception) -> BadMessageError:
    kind = type(error).__name__
    return BadMessageError(
        ReasonCode.UNKNOWN_SCHEMA, f"the schema with the id {schema_id} is not Avro's ({kind})"
    )
