"""Avro messages in the frames of Confluent's serializers and of AWS Glue's."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from time import monotonic
from types import NoneType
from typing import Any, Final
from uuid import UUID

import fastavro

from ingest_service.readers.avro_singles import Shorten, shortest_of
from ingest_service.readers.registries import (
    NotAvroError,
    RegistryAwayError,
    SchemaRegistry,
    StillCheckedError,
)
from lakehouse.contracts.avro_bounds import ReadRecord, UnboundedSchemaError, bounded_reader
from lakehouse.contracts.avro_frames import FrameError, frame_of, unpacked
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.reasons import ReasonCode
from lakehouse.contracts.tenant import DataType

UNKNOWN_SECONDS: Final = 5.0
"""How long the registry's answer that it has no such schema is believed."""
UNKNOWN_MOST: Final = 1_000
CHECKED_SECONDS: Final = 60.0
"""How long messages of a schema wait that the registry is still checking; Glue takes seconds."""
AWAY_SECONDS: Final = 0.5
"""How long a registry that did not answer is not asked again: others wait behind the question."""


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

    def __init__(
        self,
        confluent: SchemaRegistry | None,
        glue: SchemaRegistry | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._confluent = None if confluent is None else _Lookup(confluent, clock)
        self._glue = None if glue is None else _Lookup(glue, clock)

    def unpack(self, value: bytes, most: int) -> bytes:
        """Return a message with its record unpacked; raises `BadMessageError`."""
        try:
            return unpacked(value, most)
        except FrameError as error:
            raise BadMessageError(ReasonCode.BAD_AVRO, str(error)) from None

    def read(self, data_type: DataType, value: bytes) -> tuple[dict[str, Any], str]:
        """Return the record of an unpacked message, and the text of its schema.

        Raises `BadMessageError`, and `RegistryAwayError` when that cannot be told now.
        """
        try:
            schema_id, body = frame_of(value)
        except FrameError as error:
            raise BadMessageError(ReasonCode.BAD_AVRO, str(error)) from None
        schema, text = self._lookup(schema_id).schema(schema_id)
        record = read_avro(body, schema, data_type, text)
        if shorten := _shortest_of(text):
            record = shorten(record)
        return sent_of(record, data_type.definition.carried, _written_names(text)), text

    def _lookup(self, schema_id: int | UUID) -> "_Lookup":
        if isinstance(schema_id, UUID):
            if self._glue is None:  # nobody waits for a registry that was never there
                raise BadMessageError(
                    ReasonCode.UNKNOWN_SCHEMA,
                    "the message names a schema of AWS Glue, and no registry of Glue is set "
                    "(ETA_STREAM_GLUE_REGISTRY)",
                )
            return self._glue
        if self._confluent is None:
            raise RegistryAwayError("no registry is set (ETA_STREAM_REGISTRY_URL)")
        return self._confluent


class _Lookup:
    """The schemas of one registry: those that were asked for, and what it said of others."""

    def __init__(self, registry: SchemaRegistry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._schemas: dict[int | UUID, tuple[Any, str]] = {}
        self._away_until = 0.0
        self._unknown: dict[int | UUID, float] = {}
        """Ids that the registry said it has not, and until when that is believed."""
        self._checked: dict[int | UUID, tuple[float, float]] = {}
        """Ids that it was still checking: since when that is known, and until when believed."""

    def schema(self, schema_id: int | UUID) -> tuple[Any, str]:
        """Return a schema, parsed and as text; raises as `AvroReader.read` does."""
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        if self._unknown.get(schema_id, 0.0) > self._clock():
            raise _unknown_schema(schema_id)
        if self._clock() < self._away_until:
            raise RegistryAwayError("it did not answer just now")
        raw = self._asked(schema_id)
        try:
            found = (fastavro.parse_schema(raw), json.dumps(raw))
            _reader_of(found[1])
        except Exception as error:  # noqa: BLE001 - one of JSON, for instance
            self._believe_unknown(schema_id)
            why = str(error) if isinstance(error, UnboundedSchemaError) else type(error).__name__
            raise _not_avro(schema_id, why) from None
        self._schemas[schema_id] = found
        return found

    def _asked(self, schema_id: int | UUID) -> Any:
        """Return a schema from the registry, as JSON's values; raises as `schema` does."""
        since, asked_until = self._checked.get(schema_id, (self._clock(), 0.0))
        if asked_until > self._clock():
            raise StillCheckedError("it was still checking this schema just now")
        try:
            raw = self._registry.schema(schema_id)
        except StillCheckedError:  # it answers: other schemas need not wait
            if self._clock() - since >= CHECKED_SECONDS:
                self._believe_unknown(schema_id)
                raise _unknown_schema(schema_id) from None
            if len(self._checked) >= UNKNOWN_MOST:
                self._checked.clear()
            self._checked[schema_id] = (since, self._clock() + AWAY_SECONDS)
            raise
        except RegistryAwayError:
            self._away_until = self._clock() + AWAY_SECONDS
            raise
        except NotAvroError as error:
            self._believe_unknown(schema_id)
            raise _not_avro(schema_id, str(error)) from None
        if raw is None:
            self._believe_unknown(schema_id)
            raise _unknown_schema(schema_id)
        return raw

    def _believe_unknown(self, schema_id: int | UUID) -> None:
        """Ask for this id again after a while; the registry may have it by then."""
        if len(self._unknown) >= UNKNOWN_MOST:
            self._unknown.clear()
        self._unknown[schema_id] = self._clock() + UNKNOWN_SECONDS


def read_again(values: Sequence[bytes], schema_text: str) -> list[dict[str, Any] | None]:
    """Return the records of messages of one schema; None for one that cannot be read."""
    schema = fastavro.parse_schema(json.loads(schema_text))
    try:
        read = _reader_of(schema_text)
    except UnboundedSchemaError:  # kept by an earlier release
        return [None] * len(values)
    found: list[dict[str, Any] | None] = []
    for value in values:
        try:
            record = read(BytesIO(frame_of(value).record), schema, None)
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


def read_avro(body: bytes, schema: Any, data_type: DataType, text: str | None) -> dict[str, Any]:
    """Read a record with a parsed schema, as this version's; raises `BadMessageError`."""
    try:
        read = fastavro.schemaless_reader if text is None else _reader_of(text)
        record = read(BytesIO(body), schema, _reader_schema(data_type))
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
def _reader_of(schema_text: str) -> ReadRecord:
    """Return what reads messages of a schema; raises `UnboundedSchemaError`."""
    return bounded_reader(fastavro.parse_schema(json.loads(schema_text)))


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


def _unknown_schema(schema_id: int | UUID) -> BadMessageError:
    return BadMessageError(
        ReasonCode.UNKNOWN_SCHEMA, f"the registry has no schema with the id {schema_id}"
    )


def _not_avro(schema_id: int | UUID, kind: str) -> BadMessageError:
    return BadMessageError(
        ReasonCode.UNKNOWN_SCHEMA, f"the schema with the id {schema_id} is not Avro's ({kind})"
    )
